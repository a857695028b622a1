// Shares of a 32-byte secret over GF(2^8) with 0x11B (PROTOCOL.md#shares).
// Only coordinates, which are public, are branched on.
import { random, type Bytes } from "./bytes.ts";

export interface Share {
  x: number; // 1 to 255
  y: Bytes;
}

const secretBytes = 32;

const double = (v: number): number => ((v << 1) & 0xff) ^ (-(v >> 7) & 0x1b);

// multiply branches on c alone, which is public.
function multiply(v: number, c: number): number {
  let out = 0;
  for (; c !== 0; c >>= 1, v = double(v)) if (c & 1) out ^= v;
  return out;
}

// invert is c^254.
function invert(c: number): number {
  let out = 1;
  for (let i = 0; i < 254; i++) out = multiply(out, c);
  return out;
}

// evaluate gives the polynomial secret + c1 x + c2 x^2 + ... at each x.
export function evaluate(secret: Bytes, coefficients: Bytes[], xs: number[]): Share[] {
  if (secret.length !== secretBytes || coefficients.some((c) => c.length !== secretBytes) || xs.some((x) => x < 1 || x > 255)) {
    throw new Error("not to be shared");
  }
  return xs.map((x) => {
    const y = new Uint8Array(secretBytes);
    for (const c of [...coefficients].reverse()) y.forEach((v, i) => (y[i] = multiply(v ^ c[i]!, x)));
    y.forEach((v, i) => (y[i] = v ^ secret[i]!));
    return { x, y };
  });
}

// split shares a secret so that any t of the shares give it back.
export function split(secret: Bytes, t: number, xs: number[]): Share[] {
  if (t < 1 || t > xs.length || new Set(xs).size !== xs.length) throw new Error("not to be shared so");
  const coefficients = Array.from({ length: t - 1 }, () => random(secretBytes));
  const out = evaluate(secret, coefficients, xs);
  for (const c of coefficients) c.fill(0);
  return out;
}

// combine is the secret behind all of these shares.
export function combine(shares: Share[]): Bytes {
  const xs = shares.map((s) => s.x);
  if (shares.length === 0 || new Set(xs).size !== xs.length || shares.some((s) => s.x < 1 || s.x > 255 || s.y.length !== secretBytes)) {
    throw new Error("not a usable set of shares");
  }
  const out = new Uint8Array(secretBytes);
  for (const s of shares) {
    let weight = 1; // public
    for (const x of xs) if (x !== s.x) weight = multiply(multiply(weight, x), invert(x ^ s.x));
    s.y.forEach((v, i) => (out[i]! ^= multiply(v, weight)));
  }
  return out;
}
