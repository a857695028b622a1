// Forms: what fields an object has. Every field is there, none is unknown, and
// each is of its type (PROTOCOL.md#encoding).
import { decode, encode, Malformed, type Value } from "./cbor.ts";
import type { Bytes } from "./bytes.ts";

// Type reads and writes one kind of value.
export interface Type<T> {
  write(v: T): Value;
  read(v: Value): T;
}

export type Of<X> = X extends Type<infer T> ? T : never;

function whole(least: bigint, most: bigint): Type<number> {
  return {
    write: (v) => BigInt(v),
    read: (v) => {
      if (typeof v !== "bigint" || v < least || v > most) throw new Malformed();
      return Number(v);
    },
  };
}

// Numbers beyond 2^53 do not stand for themselves here and are refused.
const safe = BigInt(Number.MAX_SAFE_INTEGER);
export const uint = whole(0n, safe);
export const int = whole(-safe, safe);
export const u8 = whole(0n, 255n);
export const u32 = whole(0n, 0xffffffffn);

// u64 is every bit of a bitmap.
export const u64: Type<bigint> = {
  write: (v) => v,
  read: (v) => {
    if (typeof v !== "bigint" || v < 0n || v >> 64n !== 0n) throw new Malformed();
    return v;
  },
};

export const text: Type<string> = {
  write: (v) => v,
  read: (v) => {
    if (typeof v !== "string") throw new Malformed();
    return v;
  },
};

export const bool: Type<boolean> = {
  write: (v) => v,
  read: (v) => {
    if (typeof v !== "boolean") throw new Malformed();
    return v;
  },
};

export const bytes: Type<Bytes> = {
  write: (v) => v,
  read: (v) => {
    if (!(v instanceof Uint8Array)) throw new Malformed();
    return v;
  },
};

export function fixed(n: number): Type<Bytes> {
  const check = (v: Value): Bytes => {
    if (!(v instanceof Uint8Array) || v.length !== n) throw new Malformed();
    return v;
  };
  return { write: check, read: check };
}

export function list<T>(of: Type<T>): Type<T[]> {
  return {
    write: (v) => v.map(of.write),
    read: (v) => {
      if (!Array.isArray(v)) throw new Malformed();
      return v.map(of.read);
    },
  };
}

type Fields = Record<string, Type<any>>;
export type Object<F extends Fields> = { [K in keyof F]: Of<F[K]> };

// map is an object whose fields are numbered 1, 2, ... in this order.
export function map<F extends Fields>(fields: F): Type<Object<F>> {
  const named = Object.entries(fields);
  return {
    write: (v) => new Map(named.map(([name, type], i) => [BigInt(i + 1), type.write(v[name])])),
    read: (v) => {
      if (!(v instanceof Map) || v.size !== named.length) throw new Malformed();
      return Object.fromEntries(named.map(([name, type], i) => [name, type.read(got(v.get(BigInt(i + 1))))])) as Object<F>;
    },
  };
}

// tuple is an array of these, in this order.
export function tuple<F extends Fields>(fields: F): Type<Object<F>> {
  const named = Object.entries(fields);
  return {
    write: (v) => named.map(([name, type]) => type.write(v[name])),
    read: (v) => {
      if (!Array.isArray(v) || v.length !== named.length) throw new Malformed();
      return Object.fromEntries(named.map(([name, type], i) => [name, type.read(got(v[i]))])) as Object<F>;
    },
  };
}

function got(v: Value | undefined): Value {
  if (v === undefined) throw new Malformed();
  return v;
}

export const marshal = <T>(type: Type<T>, v: T): Bytes => encode(type.write(v));
export const unmarshal = <T>(type: Type<T>, data: Uint8Array): T => type.read(decode(data));
