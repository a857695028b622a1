// Escrows: the root under two locks besides the passkey (PROTOCOL.md#escrow,
// #kit). Half A comes from a code on paper or from helpers, half B is shared
// over the keepers.
import { equal, isZero, join, random, type Bytes } from "./bytes.ts";
import { seal } from "./box.ts";
import { Malformed } from "./cbor.ts";
import { signingKey } from "./event.ts";
import * as form from "./form.ts";
import { expand, extract, hash, type Label } from "./labels.ts";
import { split } from "./share.ts";

export const KIT = 3, HELPERS = 4;
export const holdersMax = 16;

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
  const e = terms(KIT, keepers, 1);
  e.provers.push({ key: id, actor: none });
  const a = await halfOf(code, log);
  return sealed(keepers, e, await contextOf(log, e), a, root, boxSeed);
}

// Holder is a helper: a name, and the box that belongs to it.
export interface Holder {
  id: Bytes;
  box: Bytes;
}

// makeHelpers is the body of an escrow that any need of these people open
// together.
export async function makeHelpers(log: Bytes, keepers: Keepers, holders: Holder[], need: number, root: Bytes, boxSeed: Bytes): Promise<Bytes> {
  if (need < 2 || need > holders.length || holders.length > holdersMax) throw new Error("not so many helpers");
  const e = terms(HELPERS, keepers, need);
  e.provers = holders.map((h) => ({ key: none, actor: h.id }));
  e.wraps = holders.map((h, i) => ({ holder: h.id, x: i + 1, sealed: new Uint8Array(0), hash: none }));
  const [context, a] = [await contextOf(log, e), random(32)];
  for (const { x, y } of split(a, need, e.wraps.map((w) => w.x))) {
    const w = e.wraps[x - 1]!;
    w.sealed = await seal(holders[x - 1]!.box, "abaton/v1/escrow-half", join(context, Uint8Array.of(x)), y);
    w.hash = await hash("abaton/v1/escrow-part", context, Uint8Array.of(x), y);
    y.fill(0);
  }
  return sealed(keepers, e, context, a, root, boxSeed);
}

const none = new Uint8Array(32);

const terms = (kind: number, keepers: Keepers, need: number): Escrow => ({
  kind, lines: [], wraps: [], shares: [], sealed: new Uint8Array(0), provers: [], need, delay: keepers.wait, nonce: random(16),
});

// sealed draws half B, shares it over the keepers and seals the payload. It
// erases a.
async function sealed(keepers: Keepers, e: Escrow, context: Bytes, a: Bytes, root: Bytes, boxSeed: Bytes): Promise<Bytes> {
  const b = random(32);
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

// parse refuses what does not keep a root for its owner (PROTOCOL.md#escrow).
function parse(body: Bytes, kind: number): Escrow {
  const e = form.unmarshal(escrowForm, body);
  const good = e.kind === kind && e.lines.length === 0 && e.delay > 0 && e.delay <= 366 * 24 * 3600 && !isZero(e.nonce) &&
    e.sealed.length > 16 && e.shares.length >= 2 && e.shares.every((s, i) => s.x === i + 1 && !isZero(s.hash));
  if (!good) throw new Malformed();
  return e;
}

// parseKit refuses what is not a kit.
export function parseKit(body: Bytes): Escrow {
  const e = parse(body, KIT);
  const good = e.wraps.length === 0 && e.provers.length === 1 && !isZero(e.provers[0]!.key) && isZero(e.provers[0]!.actor) && e.need === 1;
  if (!good) throw new Malformed();
  return e;
}

// parseHelpers refuses what is not of helpers.
export function parseHelpers(body: Bytes): Escrow {
  const e = parse(body, HELPERS);
  const holders = new Set(e.wraps.map((w) => w.holder.join()));
  const good = e.wraps.length >= 2 && e.wraps.length <= holdersMax && holders.size === e.wraps.length && e.provers.length === e.wraps.length &&
    e.wraps.every((w, i) => w.x === i + 1 && !isZero(w.holder) && !isZero(w.hash) && equal(e.provers[i]!.actor, w.holder) && isZero(e.provers[i]!.key)) &&
    e.need >= 2 && e.need <= e.wraps.length;
  if (!good) throw new Malformed();
  return e;
}

// openEscrow is the other end; undefined where the halves are not this
// escrow's.
export async function openEscrow(log: Bytes, e: Escrow, a: Bytes, b: Bytes): Promise<Payload | undefined> {
  const context = await contextOf(log, e);
  const plain = await crypto.subtle.decrypt(how(context), await payloadKey(context, a, b), e.sealed).catch(() => undefined);
  if (!plain) return undefined;
  const p = form.unmarshal(payloadForm, new Uint8Array(plain));
  if (p.v !== 1 || (p.root.length !== 0 && p.root.length !== 32)) throw new Malformed();
  return p;
}
