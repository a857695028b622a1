// Passkey public keys and assertions (PROTOCOL.md#passkey): how they are
// written, and the check that every keeper makes.
import { equal, join, toBase64url, utf8, type Bytes } from "./bytes.ts";
import * as form from "./form.ts";
import { hash, sha256 } from "./labels.ts";

export const ES256 = 1, EDDSA = 2, RS256 = 3;
export const SYNCED = 1, BOUND = 2;

export const assertionForm = form.map({ public: form.bytes, authData: form.bytes, clientData: form.bytes, sig: form.bytes });
export type Assertion = form.Of<typeof assertionForm>;

export const nameOf = (publicKey: Uint8Array): Promise<Bytes> => hash("abaton/v1/credential", publicKey);

// classOf is what the authenticator says of itself: bit BE.
export const classOf = (authData: Uint8Array): number => ((authData[32] ?? 0) & 8 ? SYNCED : BOUND);

export interface RelyingParty {
  id: string;
  origins: string[];
}

// refusal is "" for an assertion that holds, else the check that refuses.
export async function refusal(a: Assertion, challenge: Bytes, rp: RelyingParty): Promise<string> {
  const about = clientRefusal(a.clientData, challenge, rp.origins);
  if (about) return about;
  if (a.authData.length < 37) return "authenticator data";
  if (!rp.id || !equal(a.authData.slice(0, 32), await sha256(utf8(rp.id)))) return "relying party";
  const flags = a.authData[32]!;
  if ((flags & 5) !== 5) return "user verification";
  if ((flags & 0x18) === 0x10) return "backup state";
  const key = await parsePublic(a.public);
  if (!key) return "credential";
  const signed = join(a.authData, await sha256(a.clientData));
  return (await key(signed, a.sig)) ? "" : "signature";
}

function clientRefusal(data: Uint8Array, challenge: Uint8Array, origins: string[]): string {
  const prefix = utf8(`{"type":"webauthn.get","challenge":"${toBase64url(challenge)}","origin":"`);
  if (!equal(data.slice(0, prefix.length), prefix)) return "challenge";
  const rest = new TextDecoder().decode(data.slice(prefix.length));
  for (const origin of origins) {
    if (!/^[\x20-\x7e]+$/.test(origin) || /["\\<>&]/.test(origin) || !rest.startsWith(origin + '"')) continue;
    const after = rest.slice(origin.length + 1);
    if (after === "}" || after.startsWith(',"crossOrigin":false}') || after.startsWith(',"crossOrigin":false,')) return "";
  }
  return "origin";
}

type Verify = (message: Bytes, sig: Bytes) => Promise<boolean>;

// parsePublic is undefined for what is not a public key in its one form.
export async function parsePublic(p: Bytes): Promise<Verify | undefined> {
  const key = p.slice(1);
  switch (p[0]) {
    case ES256:
      return parseES256(key);
    case EDDSA:
      return key.length === 32 && onEdwards(key) ? parseEdDSA(key) : undefined;
    case RS256:
      return parseRS256(key);
  }
  return undefined;
}

async function parseES256(key: Bytes): Promise<Verify | undefined> {
  if (key.length !== 65 || key[0] !== 4) return undefined;
  try {
    const imported = await crypto.subtle.importKey("raw", key, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
    return async (message, sig) => {
      const raw = fromDER(sig);
      return raw !== undefined && crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, imported, raw, message);
    };
  } catch {
    return undefined;
  }
}

async function parseEdDSA(key: Bytes): Promise<Verify> {
  const imported = await crypto.subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
  return (message, sig) => crypto.subtle.verify("Ed25519", imported, sig, message);
}

async function parseRS256(n: Bytes): Promise<Verify | undefined> {
  const bits = n.length * 8 - Math.clz32(n[0] ?? 0) + 24;
  if (n.length === 0 || n[0] === 0 || bits < 2048 || bits > 4096 || n[n.length - 1]! % 2 === 0) return undefined;
  const jwk = { kty: "RSA", n: toBase64url(n), e: "AQAB" };
  const imported = await crypto.subtle.importKey("jwk", jwk, { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }, false, ["verify"]);
  return (message, sig) => crypto.subtle.verify("RSASSA-PKCS1-v1_5", imported, sig, message);
}

// fromDER is r || s of an ECDSA signature, or undefined.
function fromDER(sig: Bytes): Bytes | undefined {
  if (sig[0] !== 0x30 || sig[1] !== sig.length - 2) return undefined;
  const out = new Uint8Array(64);
  let at = 2;
  for (const end of [32, 64]) {
    const n = sig[at + 1] ?? 0;
    const from = sig[at + 2] === 0 && n > 1 ? 1 : 0;
    const part = sig.slice(at + 2 + from, at + 2 + n);
    const minimal = from === 1 ? (part[0] ?? 0) >= 0x80 : (part[0] ?? 0xff) < 0x80;
    if (sig[at] !== 2 || n === 0 || part.length !== n - from || part.length > 32 || !minimal) return undefined;
    out.set(part, end - part.length);
    at += 2 + n;
  }
  return at === sig.length ? out : undefined;
}

// onEdwards: a canonical point of edwards25519 that is not of small order.
function onEdwards(b: Bytes): boolean {
  const p = (1n << 255n) - 19n;
  const mod = (x: bigint): bigint => ((x % p) + p) % p;
  const power = (x: bigint, e: bigint): bigint => {
    let out = 1n;
    for (let base = mod(x); e > 0n; e >>= 1n, base = mod(base * base)) if (e & 1n) out = mod(out * base);
    return out;
  };
  let y = 0n;
  for (let i = 31; i >= 0; i--) y = (y << 8n) | BigInt(i === 31 ? b[i]! & 0x7f : b[i]!);
  if (y >= p) return false;
  const d = mod(-121665n * power(121666n, p - 2n));
  const y2 = mod(y * y);
  if (power((y2 - 1n) * (d * y2 + 1n), (p - 1n) / 2n) !== 1n) return false;
  return y !== 0n && mod(d * y2 * y2 + 2n * y2 - 1n) !== 0n;
}

// publicFrom writes the key of a credential that the browser just made.
export async function publicFrom(spki: ArrayBuffer, algorithm: number): Promise<Bytes> {
  const subtle = crypto.subtle;
  switch (algorithm) {
    case -7: {
      const k = await subtle.importKey("spki", spki, { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"]);
      return join(Uint8Array.of(ES256), new Uint8Array(await subtle.exportKey("raw", k)));
    }
    case -8: {
      const k = await subtle.importKey("spki", spki, "Ed25519", true, ["verify"]);
      return join(Uint8Array.of(EDDSA), new Uint8Array(await subtle.exportKey("raw", k)));
    }
    case -257: {
      const k = await subtle.importKey("spki", spki, { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }, true, ["verify"]);
      const jwk = await subtle.exportKey("jwk", k);
      if (jwk.e !== "AQAB") throw new Error("not a passkey of a known kind");
      return join(Uint8Array.of(RS256), fromURL(jwk.n!));
    }
  }
  throw new Error("not a passkey of a known kind");
}

const fromURL = (text: string): Bytes =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

