// What helpers and the person they bring back exchange (PROTOCOL.md#escrow,
// #recovery-words): parts of half A, and the words both read.
import { equal, join, utf8, type Bytes } from "./bytes.ts";
import { open, seal } from "./box.ts";
import { contextOf, type Escrow } from "./escrow.ts";
import * as form from "./form.ts";
import { hash } from "./labels.ts";
import { combine, type Share } from "./share.ts";

const partForm = form.map({ v: form.uint, x: form.u8, sealed: form.bytes });

// helperAt is the place of somebody among the helpers, from 1; 0 if none.
export const helperAt = (e: Escrow, id: Bytes): number => e.wraps.findIndex((w) => equal(w.holder, id)) + 1;

// help opens a helper's own wrap and seals the part again, to the device that
// the recover event names and for that event alone. Undefined where the wrap
// is not of this box.
export async function help(log: Bytes, e: Escrow, x: number, boxSeed: Bytes, recover: Bytes, to: Bytes): Promise<Bytes | undefined> {
  const [context, at, w] = [await contextOf(log, e), Uint8Array.of(x), e.wraps[x - 1]!];
  const part = await open(boxSeed, "abaton/v1/escrow-half", join(context, at), w.sealed).catch(() => undefined);
  if (!part || !equal(await hash("abaton/v1/escrow-part", context, at, part), w.hash)) return undefined;
  const sealed = await seal(to, "abaton/v1/trustee-part", join(recover, at), part);
  part.fill(0);
  return form.marshal(partForm, { v: 1, x, sealed });
}

// Answered is what parts gave: half A once there are enough, and whose part is
// not the one they were given.
export interface Answered {
  half: Bytes | undefined;
  good: number[]; // places of helpers
  liars: number[];
}

// halfOf opens what helpers gave with the new device's box. Each part is held
// against the escrow; a false one is named and not used.
export async function halfOf(log: Bytes, e: Escrow, recover: Bytes, boxSeed: Bytes, helps: { helper: Bytes; part: Bytes }[]): Promise<Answered> {
  const context = await contextOf(log, e);
  const [shares, liars]: [Share[], number[]] = [[], []];
  for (const h of helps) {
    const x = helperAt(e, h.helper);
    if (x === 0 || shares.some((s) => s.x === x)) continue;
    const y = await openPart(boxSeed, recover, x, h.part);
    if (y && equal(await hash("abaton/v1/escrow-part", context, Uint8Array.of(x), y), e.wraps[x - 1]!.hash)) shares.push({ x, y });
    else liars.push(x);
  }
  const half = shares.length >= e.need ? combine(shares.slice(0, e.need)) : undefined;
  for (const s of shares) s.y.fill(0);
  return { half, good: shares.map((s) => s.x), liars };
}

async function openPart(boxSeed: Bytes, recover: Bytes, x: number, data: Bytes): Promise<Bytes | undefined> {
  try {
    const p = form.unmarshal(partForm, data);
    if (p.v !== 1 || p.x !== x) return undefined;
    const y = await open(boxSeed, "abaton/v1/trustee-part", join(recover, Uint8Array.of(x)), p.sealed);
    return y.length === 32 ? y : undefined;
  } catch {
    return undefined; // not in its form, or not for this device
  }
}

// wordsFor are what both people read to each other. They are slow to make, so
// that nobody finds another event with the same ones.
export async function wordsFor(recover: Bytes): Promise<string[]> {
  const { wordsAt } = await import("./words.ts");
  const key = await crypto.subtle.importKey("raw", recover, "PBKDF2", false, ["deriveBits"]);
  const how = { name: "PBKDF2", hash: "SHA-256", salt: utf8("abaton/v1/recovery-word"), iterations: 1 << 18 };
  return wordsAt(new Uint8Array(await crypto.subtle.deriveBits(how, key, 64)));
}

// sameWords reports whether somebody heard these words, however typed.
export const sameWords = (shown: string[], heard: string): boolean =>
  shown.join(" ") === heard.trim().toLowerCase().split(/[\s,.]+/).join(" ");
