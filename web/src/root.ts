// A patient's root and what derives from it (PROTOCOL.md#root), and the root
// under a passkey's PRF (PROTOCOL.md#root-wrap).
import { isZero, join, random, u32, utf8, type Bytes } from "./bytes.ts";
import { publicOf } from "./box.ts";
import { expand, extract, message } from "./labels.ts";

export const rootBytes = 32;
const nonceBytes = 12;

export class Root {
  readonly #prk: CryptoKey;
  private constructor(prk: CryptoKey) {
    this.#prk = prk;
  }

  // from takes 32 random bytes; the caller erases them.
  static async from(secret: Bytes): Promise<Root> {
    if (secret.length !== rootBytes || isZero(secret)) throw new Error("not a root");
    return new Root(await extract(utf8("abaton/v1/root"), secret));
  }

  async line(category: Bytes): Promise<Bytes> {
    return (await expand(this.#prk, "abaton/v1/line", category)).slice(0, 16);
  }

  seed(category: Bytes, epoch: number): Promise<Bytes> {
    return expand(this.#prk, "abaton/v1/segment-seed", category, u32(epoch));
  }

  // boxSeed is the seed of the box for what others seal to this person.
  boxSeed(): Promise<Bytes> {
    return expand(this.#prk, "abaton/v1/box-seed");
  }

  // manageSeed is the seed of the key that manages this person's log.
  manageSeed(): Promise<Bytes> {
    return expand(this.#prk, "abaton/v1/manage-seed");
  }

  async segment(category: Bytes, epoch: number): Promise<Bytes> {
    return publicOf(await this.seed(category, epoch));
  }
}

// prfInput is what the passkey's PRF is asked for; the browser hashes it with
// a prefix of its own (WebAuthn Level 3, section 10.1.4).
export const prfInput = utf8("abaton/v1/root");

async function wrapKey(prf: Bytes): Promise<CryptoKey> {
  if (prf.length !== 32 || isZero(prf)) throw new Error("not a PRF output");
  const ikm = await crypto.subtle.importKey("raw", prf, "HKDF", false, ["deriveKey"]);
  const how = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info: utf8("abaton/v1/root-wrap") };
  return crypto.subtle.deriveKey(how, ikm, { name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
}

const bound = (credentialID: Bytes): Bytes => message("abaton/v1/root-wrap", credentialID);

// wrap seals a root under what the passkey's PRF gave: nonce || ciphertext.
export async function wrap(prf: Bytes, credentialID: Bytes, secret: Bytes, iv = random(nonceBytes)): Promise<Bytes> {
  if (secret.length !== rootBytes) throw new Error("not a root");
  const key = await wrapKey(prf);
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: bound(credentialID) }, key, secret);
  return join(iv, new Uint8Array(sealed));
}

// unwrap is the other end of wrap; it throws where the passkey is another one.
export async function unwrap(prf: Bytes, credentialID: Bytes, wrapped: Bytes): Promise<Bytes> {
  const key = await wrapKey(prf);
  const how = { name: "AES-GCM", iv: wrapped.slice(0, nonceBytes), additionalData: bound(credentialID) };
  const secret = new Uint8Array(await crypto.subtle.decrypt(how, key, wrapped.slice(nonceBytes)));
  if (secret.length !== rootBytes) throw new Error("not a root");
  return secret;
}
