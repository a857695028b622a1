// Labels (PROTOCOL.md#labels), H and X (PROTOCOL.md#hashing).
import { join, utf8, type Bytes } from "./bytes.ts";

// The labels that a person's device uses.
export type Label =
  | "abaton/v1/actor"
  | "abaton/v1/approval"
  | "abaton/v1/box-seed"
  | "abaton/v1/credential"
  | "abaton/v1/device-proof"
  | "abaton/v1/enrolment"
  | "abaton/v1/escrow"
  | "abaton/v1/escrow-half"
  | "abaton/v1/escrow-key"
  | "abaton/v1/escrow-leaf"
  | "abaton/v1/escrow-part"
  | "abaton/v1/escrow-share"
  | "abaton/v1/event"
  | "abaton/v1/grant"
  | "abaton/v1/grant-wrap"
  | "abaton/v1/invitation"
  | "abaton/v1/kit-half"
  | "abaton/v1/kit-prover"
  | "abaton/v1/line"
  | "abaton/v1/posture"
  | "abaton/v1/manage-seed"
  | "abaton/v1/recovery-word"
  | "abaton/v1/root"
  | "abaton/v1/root-wrap"
  | "abaton/v1/segment-id"
  | "abaton/v1/segment-seed"
  | "abaton/v1/session"
  | "abaton/v1/session-seeds"
  | "abaton/v1/step-up"
  | "abaton/v1/trustee-part";

// message is label || 0x00 || parts.
export const message = (label: Label, ...parts: Uint8Array[]): Bytes => join(utf8(label), Uint8Array.of(0), ...parts);

const sha256 = async (b: Bytes): Promise<Bytes> => new Uint8Array(await crypto.subtle.digest("SHA-256", b));

// hash is H(label, parts).
export const hash = (label: Label, ...parts: Uint8Array[]): Promise<Bytes> => sha256(message(label, ...parts));

export { sha256 };

const HMAC = { name: "HMAC", hash: "SHA-256" };

// extract is HKDF-Extract (RFC 5869, section 2.2): an HMAC key nobody can
// read, from which expand derives.
export async function extract(salt: Bytes, ikm: Bytes): Promise<CryptoKey> {
  const key = await crypto.subtle.importKey("raw", salt, HMAC, false, ["sign"]);
  const prk = new Uint8Array(await crypto.subtle.sign(HMAC, key, ikm));
  const out = await crypto.subtle.importKey("raw", prk, HMAC, false, ["sign"]);
  prk.fill(0);
  return out;
}

// expand is X: the one block of HKDF-Expand that gives 32 bytes.
export async function expand(prk: CryptoKey, label: Label, ...context: Uint8Array[]): Promise<Bytes> {
  const info = context.length === 0 ? utf8(label) : message(label, ...context);
  return new Uint8Array(await crypto.subtle.sign(HMAC, prk, join(info, Uint8Array.of(1))));
}
