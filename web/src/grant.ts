// Grants and seeds (PROTOCOL.md#grant, #seeds).
import { compare, equal, isZero, type Bytes } from "./bytes.ts";
import { Malformed } from "./cbor.ts";
import * as form from "./form.ts";
import { open, seal } from "./box.ts";
import { hash, sha256 } from "./labels.ts";

const purposes = ["TREAT", "ETREAT", "HPAYMT", "HOPERAT", "HRESCH", "PATRQT", "PUBHLTH", "COVERAGE"];
const linesMax = 32;
const purposesMax = 8;
const lifeMax = 366 * 24 * 3600;

export const READ = 1;
export const DEPOSIT = 2;

export const grantForm = form.map({
  v: form.uint,
  patient: form.fixed(32), // zero inside an inception: this log
  grantee: form.fixed(32),
  actions: form.uint,
  lines: form.list(form.fixed(16)),
  purposes: form.list(form.text),
  notBefore: form.int,
  expires: form.int,
  quota: form.u32,
  nonce: form.fixed(16),
});
export type Grant = form.Of<typeof grantForm>;

const ascending = <T>(all: T[], order: (a: T, b: T) => number): boolean =>
  all.every((x, i) => i === 0 || order(all[i - 1]!, x) < 0);

export function parseGrant(data: Uint8Array): Grant {
  const g = form.unmarshal(grantForm, data);
  const good =
    g.v === 1 && !isZero(g.grantee) && !equal(g.grantee, g.patient) &&
    g.actions > 0 && g.actions <= (READ | DEPOSIT) &&
    g.lines.length > 0 && g.lines.length <= linesMax && ascending(g.lines, compare) && !isZero(g.lines[0]!) &&
    g.purposes.length > 0 && g.purposes.length <= purposesMax &&
    ascending(g.purposes, (a, b) => (a < b ? -1 : a > b ? 1 : 0)) && g.purposes.every((p) => purposes.includes(p)) &&
    g.notBefore >= 0 && g.expires > g.notBefore && g.expires - g.notBefore <= lifeMax && g.quota > 0;
  if (!good) throw new Malformed();
  return g;
}

// marshalGrant puts lines and purposes in order; what it makes is valid.
export function marshalGrant(g: Grant): Bytes {
  const b = form.marshal(grantForm, { ...g, lines: [...g.lines].sort(compare), purposes: [...g.purposes].sort() });
  parseGrant(b);
  return b;
}

export const grantID = (grant: Uint8Array): Promise<Bytes> => hash("abaton/v1/grant", grant);

// A seed is empty where a grant only deposits.
export const seedForm = form.map({
  line: form.fixed(16),
  category: form.fixed(16),
  level: form.u8,
  epoch: form.u32,
  seed: form.bytes,
});
export type Seed = form.Of<typeof seedForm>;
const seedsForm = form.list(seedForm);

export const marshalSeeds = (seeds: Seed[]): Bytes => form.marshal(seedsForm, seeds);

export function parseSeeds(data: Uint8Array): Seed[] {
  const seeds = form.unmarshal(seedsForm, data);
  const good = seeds.every((s) =>
    !isZero(s.line) && s.level >= 1 && s.level <= 3 && s.epoch >= 1 &&
    (s.seed.length === 0 || (s.seed.length === 32 && !isZero(s.seed))));
  if (!good) throw new Malformed();
  return seeds;
}

// wrapSeeds seals seeds to the grantee's box; they open beside this grant only.
export const wrapSeeds = async (box: Uint8Array, grant: Bytes, seeds: Seed[]): Promise<Bytes> =>
  seal(box, "abaton/v1/grant-wrap", await sha256(grant), marshalSeeds(seeds));

export const unwrapSeeds = async (boxSeed: Bytes, grant: Bytes, wrapped: Uint8Array): Promise<Seed[]> =>
  parseSeeds(await open(boxSeed, "abaton/v1/grant-wrap", await sha256(grant), wrapped));
