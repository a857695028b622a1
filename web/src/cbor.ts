// The one encoding of every object (PROTOCOL.md#encoding): RFC 8949, section
// 4.2.1, of unsigned and negative integers, bytes, text, booleans, arrays and
// maps with integer keys. Anything else, and any other form of these, is
// refused.
import { compare, join, type Bytes } from "./bytes.ts";

export type Value = bigint | boolean | string | Bytes | Value[] | Map<bigint, Value>;

export class Malformed extends Error {
  constructor() {
    super("malformed or non-canonical CBOR");
  }
}

// As in limits.go of the root.
const depthMax = 8;
const elementsMax = 65536;

const UINT = 0, NEGATIVE = 1, BYTES = 2, TEXT = 3, ARRAY = 4, MAP = 5, SIMPLE = 7;

function head(major: number, n: bigint): Bytes {
  const first = major << 5;
  if (n < 24n) return Uint8Array.of(first | Number(n));
  const size = n < 0x100n ? 1 : n < 0x10000n ? 2 : n < 0x100000000n ? 4 : 8;
  const out = new Uint8Array(1 + size);
  out[0] = first | (24 + Math.log2(size));
  for (let i = 0, rest = n; i < size; i++, rest >>= 8n) out[size - i] = Number(rest & 255n);
  return out;
}

export function encode(v: Value): Bytes {
  if (typeof v === "bigint") return v >= 0n ? head(UINT, v) : head(NEGATIVE, -1n - v);
  if (typeof v === "boolean") return Uint8Array.of((SIMPLE << 5) | (v ? 21 : 20));
  if (typeof v === "string") {
    const b = new TextEncoder().encode(v);
    return join(head(TEXT, BigInt(b.length)), b);
  }
  if (v instanceof Uint8Array) return join(head(BYTES, BigInt(v.length)), v);
  if (Array.isArray(v)) return join(head(ARRAY, BigInt(v.length)), ...v.map(encode));
  const entries = [...v].map(([k, x]) => [encode(k), encode(x)] as const);
  entries.sort((a, b) => compare(a[0], b[0]));
  return join(head(MAP, BigInt(entries.length)), ...entries.flat());
}

export function decode(data: Uint8Array): Value {
  const r = new Reader(data);
  const v = r.value(1);
  if (r.at !== data.length) throw new Malformed();
  return v;
}

class Reader {
  data: Uint8Array;
  at = 0;
  constructor(data: Uint8Array) {
    this.data = data;
  }

  take(n: number): Bytes {
    if (n > this.data.length - this.at) throw new Malformed();
    const b = this.data.slice(this.at, this.at + n) as Bytes;
    this.at += n;
    return b;
  }

  // length reads the argument of a head and refuses all but its shortest form.
  argument(info: number): bigint {
    if (info < 24) return BigInt(info);
    if (info > 27) throw new Malformed(); // reserved, or of indefinite length
    let n = 0n;
    for (const b of this.take(1 << (info - 24))) n = (n << 8n) | BigInt(b);
    const shortest = info === 24 ? 24n : 1n << BigInt(8 * (1 << (info - 25)));
    if (n < shortest) throw new Malformed();
    return n;
  }

  count(n: bigint): number {
    if (n > BigInt(elementsMax)) throw new Malformed();
    return Number(n);
  }

  value(depth: number): Value {
    const first = this.take(1)[0]!;
    const major = first >> 5;
    if (major === SIMPLE) {
      if (first === 0xf4 || first === 0xf5) return first === 0xf5;
      throw new Malformed();
    }
    const n = this.argument(first & 31);
    if ((major === ARRAY || major === MAP) && depth > depthMax) throw new Malformed();
    switch (major) {
      case UINT:
        return n;
      case NEGATIVE:
        return -1n - n;
      case BYTES:
        if (n > BigInt(this.data.length)) throw new Malformed();
        return this.take(Number(n));
      case TEXT:
        if (n > BigInt(this.data.length)) throw new Malformed();
        return this.text(Number(n));
      case ARRAY:
        return Array.from({ length: this.count(n) }, () => this.value(depth + 1));
      case MAP:
        return this.map(this.count(n), depth);
    }
    throw new Malformed(); // a tag
  }

  text(n: number): string {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.take(n));
    } catch {
      throw new Malformed();
    }
  }

  map(n: number, depth: number): Map<bigint, Value> {
    const out = new Map<bigint, Value>();
    let last: Bytes | undefined;
    for (let i = 0; i < n; i++) {
      const from = this.at;
      const k = this.value(depth + 1);
      const bytes = this.data.slice(from, this.at) as Bytes;
      if (typeof k !== "bigint" || (last && compare(last, bytes) >= 0)) throw new Malformed();
      last = bytes;
      out.set(k, this.value(depth + 1));
    }
    return out;
  }
}
