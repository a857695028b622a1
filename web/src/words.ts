// Kit codes as twelve words (PROTOCOL.md#kit). The list is BIP 39's English
// one, frozen, MIT (internal/escrow/words/SOURCES).
import text from "../../internal/escrow/words/en.txt";
import { sha256 } from "./labels.ts";
import type { Bytes } from "./bytes.ts";

export const codeBytes = 16;
export const codeWords = 12;
const wordBits = 11;
const list = text.trim().split("\n");

// wordsOf writes a code: its bits and the first 4 of their SHA-256.
export async function wordsOf(code: Bytes): Promise<string[]> {
  if (code.length !== codeBytes) throw new Error("not a kit's code");
  const bits = (code.reduce((n, b) => (n << 8n) | BigInt(b), 0n) << 4n) | BigInt((await sha256(code))[0]! >> 4);
  return Array.from({ length: codeWords }, (_, i) => list[Number((bits >> BigInt((codeWords - 1 - i) * wordBits)) & 2047n)]!);
}

// wordsAt are the three words that 33 bits stand for.
export function wordsAt(b: Bytes): string[] {
  const bits = b.slice(0, 8).reduce((n, v) => (n << 8n) | BigInt(v), 0n);
  return [53n, 42n, 31n].map((at) => list[Number((bits >> at) & 2047n)]!);
}

// parseWords is the code, or undefined where these are not the words of a kit.
export async function parseWords(words: string[]): Promise<Bytes | undefined> {
  const places = words.map((w) => list.indexOf(w.trim().toLowerCase()));
  if (places.length !== codeWords || places.includes(-1)) return undefined;
  const bits = places.reduce((n, v) => (n << BigInt(wordBits)) | BigInt(v), 0n);
  const code = new Uint8Array(codeBytes);
  for (let i = 0, rest = bits >> 4n; i < codeBytes; i++, rest >>= 8n) code[codeBytes - 1 - i] = Number(rest & 255n);
  return (await sha256(code))[0]! >> 4 === Number(bits & 15n) ? code : undefined;
}
