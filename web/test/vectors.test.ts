import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { files, run } from "./vectors.ts";

const folder = process.env["VECTORS"] ?? join(process.cwd(), "../vectors");

for (const name of files) {
  test(name, async () => {
    const all = JSON.parse(await readFile(join(folder, `${name}.json`), "utf8"));
    const outcome = await run({ [name]: all });
    assert.deepEqual(outcome.failures, []);
    assert.ok(outcome.ran > 2);
  });
}
