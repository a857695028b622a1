// A kit: the root under two locks besides the passkey (PROTOCOL.md#escrow,
// #kit). Half A comes from a code on paper, half B is shared over the keepers.
import { isZero, join, random, type Bytes } from "./bytes.ts";
import { seal } from "./box.ts";
import { Malformed } from "./cbor.ts";
import { signingKey } from "./event.ts";
import * as form from "./form.ts";
import { expand, extract, hash, type Label } from "./labels.ts";
import { split } from "./share.ts";

export const KIT = 3;

const proverForm = form.map({ key: form.fixed(32), actor: form.fixed(32) });
export const escrowForm = form.map({
  kind: form.u8,
  lines: form.list(form.fixed(16)),
  wraps: form.list(form.map({ holder: form.fixed(32), x: form.u8, sealed: form.bytes, hash: form.fixed(32) })),
  shares: form.list(form.map({ x: form.u8, sealed: form.bytes, hash: form.fixed(32) })),
  sealed: form.bytes,
  provers: form.list(proverForm),
  need: form.u8,
  delay: form.u32,
  nonce: form.fixed(16),
});
export type Escrow = form.Of<typeof escrowForm>;

const termsForm = form.map({
  log: form.fixed(32),
  kind: form.u8,
  lines: form.list(form.fixed(16)),
  holders: form.list(form.fixed(32)),
  provers: form.list(proverForm),
  need: form.u8,
  delay: form.u32,
  nonce: form.fixed(16),
});

// contextOf binds every sealed part to the log and to all terms.
export const contextOf = (log: Bytes, e: Escrow): Promise<Bytes> =>
  hash("abaton/v1/escrow", form.marshal(termsForm, {
    log, kind: e.kind, lines: e.lines, holders: e.wraps.map((w) => w.holder), provers: e.provers, need: e.need, delay: e.delay, nonce: e.nonce,
  }));

// Payload is what an escrow keeps; empty where there is none.
const payloadForm = form.map({ v: form.uint, root: form.bytes, box: form.bytes, seeds: form.bytes });
export type Payload = form.Of<typeof payloadForm>;

// HMAC pads an empty salt with zeros: the same as none (RFC 5869).
const noSalt = new Uint8Array(32);
const derive = async (code: Bytes, label: Label, log: Bytes): Promise<Bytes> => expand(await extract(noSalt, code), label, log);

// halfOf is half A of the kit of this log.
export const halfOf = (code: Bytes, log: Bytes): Promise<Bytes> => derive(code, "abaton/v1/kit-half", log);

// proverOf is the seed of the key that proves a recovery with this kit.
export const proverOf = (code: Bytes, log: Bytes): Promise<Bytes> => derive(code, "abaton/v1/kit-prover", log);

async function payloadKey(context: Bytes, a: Bytes, b: Bytes): Promise<CryptoKey> {
  const both = join(a, b);
  const raw = await expand(await extract(context, both), "abaton/v1/escrow-key");
  both.fill(0);
  const key = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
  raw.fill(0);
  return key;
}

// One message a key: the nonce is zero.
const how = (context: Bytes): AesGcmParams => ({ name: "AES-GCM", iv: new Uint8Array(12), additionalData: context });

// Keepers are whom half B is shared over: each opens its own share and refuses
// its vote for a kit where that does not work, so a wrong box key is found.
export interface Keepers {
  boxes: { x: number; box: Bytes }[]; // x = 1 to n
  threshold: number;
  wait: number; // seconds
}

// makeKit is the body of a kit's event in this log.
export async function makeKit(log: Bytes, keepers: Keepers, code: Bytes, root: Bytes, boxSeed: Bytes): Promise<Bytes> {
  const prover = await proverOf(code, log);
  const { id } = await signingKey(prover);
  prover.fill(0);
  const e: Escrow = {
    kind: KIT, lines: [], wraps: [], shares: [], sealed: new Uint8Array(0), provers: [{ key: id, actor: new Uint8Array(32) }],
    need: 1, delay: keepers.wait, nonce: random(16),
  };
  const [context, a, b] = [await contextOf(log, e), await halfOf(code, log), random(32)];
  const boxes = new Map(keepers.boxes.map((k) => [k.x, k.box]));
  for (const { x, y } of split(b, keepers.threshold, keepers.boxes.map((k) => k.x))) {
    const at = Uint8Array.of(x);
    e.shares.push({
      x, sealed: await seal(boxes.get(x)!, "abaton/v1/escrow-share", join(context, at), y), hash: await hash("abaton/v1/escrow-leaf", context, at, y),
    });
    y.fill(0);
  }
  const plain = form.marshal(payloadForm, { v: 1, root, box: boxSeed, seeds: new Uint8Array(0) });
  e.sealed = new Uint8Array(await crypto.subtle.encrypt(how(context), await payloadKey(context, a, b), plain));
  for (const secret of [a, b, plain]) secret.fill(0);
  return form.marshal(escrowForm, e);
}

// parseKit refuses what is not a kit (PROTOCOL.md#escrow).
export function parseKit(body: Bytes): Escrow {
  const e = form.unmarshal(escrowForm, body);
  const good = e.kind === KIT && e.lines.length === 0 && e.wraps.length === 0 && e.provers.length === 1 &&
    !isZero(e.provers[0]!.key) && isZero(e.provers[0]!.actor) && e.need === 1 && e.delay > 0 && e.delay <= 366 * 24 * 3600 &&
    !isZero(e.nonce) && e.sealed.length > 16 && e.shares.length >= 2 && e.shares.every((s, i) => s.x === i + 1 && !isZero(s.hash));
  if (!good) throw new Malformed();
  return e;
}

// openKit is the other end of makeKit; undefined where the halves are not this
// kit's.
export async function openKit(log: Bytes, e: Escrow, a: Bytes, b: Bytes): Promise<Payload | undefined> {
  const context = await contextOf(log, e);
  const plain = await crypto.subtle.decrypt(how(context), await payloadKey(context, a, b), e.sealed).catch(() => undefined);
  if (!plain) return undefined;
  const p = form.unmarshal(payloadForm, new Uint8Array(plain));
  if (p.v !== 1 || (p.root.length !== 0 && p.root.length !== 32)) throw new Malformed();
  return p;
}
