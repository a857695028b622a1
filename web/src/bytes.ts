// Bytes and their texts.

// Bytes is what WebCrypto takes: bytes in memory of their own.
export type Bytes = Uint8Array<ArrayBuffer>;

export const utf8 = (text: string): Bytes => new TextEncoder().encode(text) as Bytes;

export function join(...parts: Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

export const equal = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((x, i) => x === b[i]);

// compare is the order of bytes.Compare in Go.
export function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const d = a[i]! - b[i]!;
    if (d !== 0) return d;
  }
  return a.length - b.length;
}

export const isZero = (b: Uint8Array): boolean => b.every((x) => x === 0);

export function u32(n: number): Bytes {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, n);
  return out;
}

export function random(n: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(n));
}

// toBase64url and fromBase64url: RFC 4648, section 5, no padding, one form.
export function toBase64url(b: Uint8Array): string {
  let text = "";
  for (const x of b) text += String.fromCharCode(x);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export function fromBase64url(text: string): Bytes {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) throw new Error("not base64url");
  const out = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  if (toBase64url(out) !== text) throw new Error("not the one form of base64url");
  return out;
}

export const toHex = (b: Uint8Array): string => Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");

export const fromHex = (text: string): Bytes => {
  if (!/^([0-9a-f]{2})*$/.test(text)) throw new Error("not hex");
  return Uint8Array.from(text.match(/../g) ?? [], (x) => parseInt(x, 16));
};

// Names are written as a prefix and base32 in small letters (abaton/names.go).
const letters = "abcdefghijklmnopqrstuvwxyz234567";

export function toName(prefix: string, b: Uint8Array): string {
  let bits = 0;
  let value = 0;
  let text = prefix;
  for (const x of b) {
    value = (value << 8) | x;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += letters[(value >> bits) & 31];
    }
    value &= (1 << bits) - 1;
  }
  return bits > 0 ? text + letters[(value << (5 - bits)) & 31] : text;
}

export function fromName(prefix: string, text: string, length = 32): Bytes {
  if (!text.startsWith(prefix)) throw new Error("not a name of this kind");
  const out: number[] = [];
  let bits = 0;
  let value = 0;
  for (const c of text.slice(prefix.length)) {
    const i = letters.indexOf(c);
    if (i < 0) throw new Error("not a name");
    value = (value << 5) | i;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      out.push((value >> bits) & 255);
      value &= (1 << bits) - 1;
    }
  }
  const b = Uint8Array.from(out);
  if (b.length !== length || toName(prefix, b) !== text) throw new Error("not the one form of a name");
  return b;
}
