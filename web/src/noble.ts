// What browsers without MLKEM768-X25519 of their own use. Not audited by
// others; see docs/adr/0019.
import { KEM_MLKEM768_X25519 } from "@panva/hpke-noble";
import { MLKEM768X25519 } from "@noble/post-quantum/hybrid.js";
import type { Bytes } from "./bytes.ts";

export const KEM = KEM_MLKEM768_X25519;

export const publicOf = (seed: Bytes): Bytes => MLKEM768X25519.keygen(seed.slice()).publicKey as Bytes;
