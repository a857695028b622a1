// Boxes: HPKE base mode with MLKEM768-X25519, HKDF-SHA256 and AES-256-GCM
// (PROTOCOL.md#box). The browser's own KEM where it has one; else noble's,
// loaded only then.
import * as HPKE from "hpke";
import { join, type Bytes } from "./bytes.ts";
import { message, type Label } from "./labels.ts";

const NAME = "MLKEM768-X25519";
const encBytes = 1120;
const publicBytes = 1216;

const native = (): boolean =>
  (globalThis.SubtleCrypto as { supports?: (op: string, name: string) => boolean } | undefined)?.supports?.("generateKey", NAME) ?? false;

async function suite(): Promise<HPKE.CipherSuite> {
  const kem = native() ? HPKE.KEM_MLKEM768_X25519 : (await import("./noble.ts")).KEM;
  return new HPKE.CipherSuite(kem, HPKE.KDF_HKDF_SHA256, HPKE.AEAD_AES_256_GCM);
}

// seal gives enc || ciphertext, for whoever holds the public key's seed.
export async function seal(to: Uint8Array, label: Label, context: Uint8Array, plaintext: Bytes): Promise<Bytes> {
  if (to.length !== publicBytes) throw new Error("not a box key");
  const s = await suite();
  const key = await s.DeserializePublicKey(to as Bytes);
  const { encapsulatedSecret, ciphertext } = await s.Seal(key, plaintext, { info: message(label, context) });
  return join(encapsulatedSecret, ciphertext);
}

// open is the other end of seal.
export async function open(seed: Bytes, label: Label, context: Uint8Array, sealed: Uint8Array): Promise<Bytes> {
  const s = await suite();
  const key = await s.DeserializePrivateKey(seed.slice(), false);
  const enc = sealed.slice(0, encBytes) as Bytes;
  return (await s.Open(key, enc, sealed.slice(encBytes) as Bytes, { info: message(label, context) })) as Bytes;
}

// publicOf is the public key of the box with this 32-byte seed.
export async function publicOf(seed: Bytes): Promise<Bytes> {
  if (!native()) return (await import("./noble.ts")).publicOf(seed);
  const subtle = crypto.subtle as unknown as {
    importKey(form: string, data: Bytes, name: string, extractable: boolean, use: string[]): Promise<CryptoKey>;
    getPublicKey(key: CryptoKey, use: string[]): Promise<CryptoKey>;
    exportKey(form: string, key: CryptoKey): Promise<ArrayBuffer>;
  };
  const key = await subtle.importKey("raw-seed", seed, NAME, false, ["decapsulateBits"]);
  return new Uint8Array(await subtle.exportKey("raw-public", await subtle.getPublicKey(key, ["encapsulateBits"])));
}
