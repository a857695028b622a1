// fhirclient's SMART launch in a real browser against a live network: five
// keepers, a gateway, sample patients. Standalone, approved by the patient's
// device; from a clinician's record, approved by the clinician's; and a no.
//
//   make build && cd interop/smart && npm ci --omit=optional && npm test
//
// CHROMIUM names the browser (default /usr/bin/chromium).
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

const here = dirname(fileURLToPath(import.meta.url));
const abaton = process.env.ABATON ?? join(here, "../../bin/abaton");
const browserPath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const handle = "patient-8a4c9c04"; // a sample patient, synthetic
const work = await mkdtemp(join(tmpdir(), "abaton-smart-"));
const dir = join(work, "net");
const run = async (...args) => (await promisify(execFile)(abaton, [...args, "--dir", dir])).stdout;

async function serve() {
  const files = new Map([
    ["/app.js", [await readFile(join(here, "app.js")), "text/javascript"]],
    ["/fhir-client.js", [await readFile(join(here, "node_modules/fhirclient/build/fhir-client.js")), "text/javascript"]],
  ]);
  const page = [await readFile(join(here, "page.html")), "text/html; charset=utf-8"];
  const server = createServer((request, response) => {
    const path = new URL(request.url, "http://app").pathname;
    const [body, type] = files.get(path) ?? page;
    response.writeHead(200, { "Content-Type": type }).end(body);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return server;
}

async function up(apps) {
  const network = spawn(abaton, ["up", "--dir", dir, "--apps", apps], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  await new Promise((done, failed) => {
    network.stdout.on("data", (text) => { said += text; if (said.includes("In another terminal")) done(); });
    network.stderr.on("data", (text) => { said += text; });
    network.on("exit", (code) => failed(new Error(`abaton up ended with ${code}: ${said}`)));
  });
  network.removeAllListeners("exit");
  return network;
}

// allow is what a person does: read the code on the page, decide on the device.
async function decide(page, verb, ...flags) {
  await page.waitForSelector(".code");
  const code = (await page.textContent(".code")).trim();
  await page.setViewportSize({ width: 320, height: 640 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= 320, `the page is ${wide} px wide at 320`);
  await run("app", verb, code, ...flags);
}

async function shown(page, origin) {
  await page.waitForURL((u) => u.origin === origin && u.pathname === "/back");
  await page.waitForFunction(() => document.getElementById("out").textContent.startsWith("{"));
  return JSON.parse(await page.textContent("#out"));
}

const server = await serve();
const origin = `http://127.0.0.1:${server.address().port}`;
const apps = join(work, "apps.toml");
await writeFile(apps, `[[app]]
id = "sample"
name = "Sample app"
type = "public"
redirect_uris = ["http://127.0.0.1/back"]
launch_url = "${origin}/launch"
scopes = "launch launch/patient openid fhirUser online_access patient/*.rs"
dpop = "optional" # fhirclient 2.6.3 does not speak DPoP
`);
let network, browser;
try {
  network = await up(apps);
  const gateway = JSON.parse(await readFile(join(dir, "network.json"))).gateway.listen;
  const base = `http://${gateway}`;
  browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox"] });
  console.log("browser", browser.version());
  const problems = [];
  const open = async (address) => {
    const page = await (await browser.newContext()).newPage();
    page.on("console", (m) => { if (/Content Security Policy/.test(m.text())) problems.push(m.text()); });
    await page.goto(address);
    return page;
  };

  let page = await open(`${origin}/launch?iss=${encodeURIComponent(base)}`);
  await decide(page, "approve", "--as", handle, "--yes");
  const alone = await shown(page, origin);
  console.log("standalone", JSON.stringify({ ...alone, who: alone.who?.split("/")[0] }));
  assert.equal(alone.failed, undefined);
  assert.equal(alone.patient, "Patient");
  assert.ok(alone.same && alone.renewed && alone.pkce);
  assert.ok(alone.observations > 5, "observations over two pages");
  assert.equal(alone.refused, 403);
  assert.equal(alone.whoType, "Patient");
  assert.equal(alone.scope, "launch/patient openid fhirUser online_access patient/Patient.r patient/Observation.rs");

  await run("login", "--as", "dr-anna");
  page = await open((await run("app", "launch", "sample", "--as", "dr-anna", "--patient", handle)).trim());
  await decide(page, "approve", "--as", "dr-anna", "--yes");
  const launched = await shown(page, origin);
  console.log("launched", JSON.stringify({ ...launched, who: launched.who?.split("/")[0] }));
  assert.equal(launched.failed, undefined);
  assert.ok(launched.same && launched.renewed && launched.observations > 5);

  page = await open(`${origin}/launch?iss=${encodeURIComponent(base)}`);
  await page.waitForSelector(".code");
  await page.click("text=Do not allow");
  const refused = await shown(page, origin);
  console.log("refused", JSON.stringify(refused));
  assert.match(refused.failed, /access_denied/);

  const looked = await run("access", "list", "--as", handle);
  assert.match(looked, /app-sample-[0-9a-f]{8} +release/, "the ledgers name the app");
  assert.deepEqual(problems, [], "the pages keep to their policy");
  console.log("ok");
} finally {
  await browser?.close();
  if (network) {
    network.kill("SIGINT");
    await new Promise((done) => network.on("exit", done));
  }
  server.close();
  await rm(work, { recursive: true, force: true });
}
