// Prints an escrow of helpers made by these modules for fixed keepers, helpers,
// log and root, and what the helpers then give, as JSON: internal/escrow opens
// it (testdata/browserhelpers.json). The second helper's part is false.
//
//   node build/makehelpers.mjs > ../internal/escrow/testdata/browserhelpers.json
import { publicOf } from "../src/box.ts";
import { toHex } from "../src/bytes.ts";
import { makeHelpers, parseHelpers } from "../src/escrow.ts";
import { help } from "../src/helpers.ts";

const of = (length: number, b: number) => new Uint8Array(length).fill(b);
const boxes = [];
for (let x = 1; x <= 5; x++) boxes.push({ x, box: await publicOf(of(32, x)) });
const log = Uint8Array.of(1, ...of(31, 0));
const [root, boxSeed, recover, device] = [of(32, 0x33), of(32, 0x44), of(32, 0x77), of(32, 0x66)];
const holders = [];
for (let i = 0; i < 3; i++) holders.push({ id: of(32, 0x21 + i), box: await publicOf(of(32, 0x50 + i)) });
const body = await makeHelpers(log, { boxes, threshold: 3, wait: 86400 }, holders, 2, root, boxSeed);
const e = parseHelpers(body);
const parts = [];
for (let i = 0; i < 3; i++) {
  const part = await help(log, e, i + 1, of(32, 0x50 + i), recover, await publicOf(device));
  if (!part) throw new Error("a helper's own wrap does not open");
  if (i === 1) part[part.length - 1]! ^= 1;
  parts.push(toHex(part));
}
console.log(JSON.stringify({
  log: toHex(log), root: toHex(root), box: toHex(boxSeed), body: toHex(body), recover: toHex(recover), device: toHex(device),
  helpers: holders.map((h) => toHex(h.id)), parts,
}, null, 2));
