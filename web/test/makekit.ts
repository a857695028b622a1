// Prints a kit made by these modules for fixed keepers, log, code and root, as
// JSON: internal/escrow opens it (testdata/browser.json).
//
//   node build/makekit.mjs > ../internal/escrow/testdata/browser.json
import { publicOf } from "../src/box.ts";
import { toHex } from "../src/bytes.ts";
import { makeKit } from "../src/escrow.ts";
import { wordsOf } from "../src/words.ts";

const of = (length: number, b: number) => new Uint8Array(length).fill(b);
const boxes = [];
for (let x = 1; x <= 5; x++) boxes.push({ x, box: await publicOf(of(32, x)) });
const [log, code, root, boxSeed] = [of(32, 0x11), of(16, 0x22), of(32, 0x33), of(32, 0x44)];
const body = await makeKit(log, { boxes, threshold: 3, wait: 86400 }, code, root, boxSeed);
console.log(JSON.stringify({ log: toHex(log), words: await wordsOf(code), root: toHex(root), box: toHex(boxSeed), body: toHex(body) }, null, 2));
