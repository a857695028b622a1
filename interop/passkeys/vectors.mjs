// The committed vectors in Chromium: the same files that Go and Node run, with
// the browser's own cryptography.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { launch } from "./network.mjs";

const here = import.meta.dirname;
const tests = process.env.WEBTESTS ?? join(here, "../../web/build");
const script = await readFile(join(tests, "vectors.js"));
const server = createServer((request, response) => {
  const js = request.url === "/vectors.js";
  response.writeHead(200, { "Content-Type": js ? "text/javascript" : "text/html" }).end(js ? script : "<!doctype html><title>vectors</title>");
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
let browser;
try {
  browser = await launch();
  const page = await browser.newPage();
  await page.goto(`http://localhost:${server.address().port}/`);
  const files = await page.evaluate(async () => (await import("/vectors.js")).files);
  const all = {};
  for (const name of files) all[name] = JSON.parse(await readFile(join(here, "../../vectors", `${name}.json`), "utf8"));
  const outcome = await page.evaluate(async (vectors) => (await import("/vectors.js")).run(vectors), all);
  assert.deepEqual(outcome.failures, []);
  const native = await page.evaluate(() => SubtleCrypto.supports?.("generateKey", "MLKEM768-X25519") ?? false);
  console.log(`Chromium ${browser.version()}: ${outcome.ran} vectors of ${files.length} files, KEM ${native ? "its own" : "noble's"}`);
} finally {
  await browser?.close();
  server.close();
}
