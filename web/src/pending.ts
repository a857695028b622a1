// What this browser remembers of somebody who is on the way back in. Nothing of
// it opens anything: half A is on paper or with the helpers, and the seed of
// the box they seal to is under the new passkey.
import { fromBase64url, fromHex, fromName, toBase64url, toHex, toName, type Bytes } from "./bytes.ts";
import type { Help } from "./api.ts";

const memory = "abaton.return";

export interface Pending {
  id: Bytes; // WebAuthn id of the new passkey
  public: Bytes;
  class: number;
  actor: Bytes;
  escrow: string; // gra1...
  recover: Bytes; // hash of the recover event
  told: number; // when the keepers heard of it, by this clock, in seconds; 0: not yet
  wait: number; // seconds from then
  entry: Bytes; // signed event that some keepers have voted for; empty: none
  in: boolean; // the log holds the passkey
  helped?: Helped; // where helpers bring them back
}

// Helped is what only whoever comes back with helpers needs.
export interface Helped {
  event: Bytes; // the recover event, which helpers prove
  box: Bytes; // seed of its box, under the passkey's PRF
  name: string; // as the helpers know this person
  helps: Help[]; // kept once the keepers know; before that they lie with the clinic
  liars: number[];
}

export function remember(r: Pending): void {
  const h = r.helped;
  localStorage.setItem(memory, JSON.stringify({
    id: toBase64url(r.id), public: toBase64url(r.public), class: r.class, actor: toName("act1", r.actor), escrow: r.escrow,
    recover: toHex(r.recover), told: r.told, wait: r.wait, entry: toBase64url(r.entry), in: r.in,
    ...(h ? { helped: {
      event: toBase64url(h.event), box: toBase64url(h.box), name: h.name, liars: h.liars,
      helps: h.helps.map((x) => [toName("act1", x.helper), toBase64url(x.proof), toBase64url(x.part)]),
    } } : {}),
  }));
}

export function pending(): Pending | undefined {
  try {
    const r = JSON.parse(localStorage.getItem(memory) ?? "");
    const h = r.helped;
    return {
      id: fromBase64url(r.id), public: fromBase64url(r.public), class: Number(r.class), actor: fromName("act1", r.actor),
      escrow: String(r.escrow), recover: fromHex(r.recover), told: Number(r.told), wait: Number(r.wait), entry: fromBase64url(r.entry), in: r.in === true,
      ...(h ? { helped: {
        event: fromBase64url(h.event), box: fromBase64url(h.box), name: String(h.name), liars: h.liars.map(Number),
        helps: h.helps.map(([a, b, c]: string[]) => ({ helper: fromName("act1", a!), proof: fromBase64url(b!), part: fromBase64url(c!) })),
      } } : {}),
    };
  } catch {
    return undefined;
  }
}

export const abandon = (): void => localStorage.removeItem(memory);
