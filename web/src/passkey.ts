// Passkeys of this browser (WebAuthn Level 3), with PRF. Nothing of a
// credential leaves this module but what is named here: a credential turned
// into JSON as a whole would carry the PRF's output.
import { equal, random, toHex, type Bytes } from "./bytes.ts";
import { classOf, publicFrom, type Assertion } from "./assertion.ts";
import type { Clinic } from "./api.ts";
import { Told } from "./dom.ts";
import { sha256 } from "./labels.ts";
import { prfInput } from "./root.ts";

const title = "Abaton: opens your health record";

// A person has this long to touch.
const timeout = 120_000;

const take = (b: ArrayBuffer): Bytes => new Uint8Array(b.slice(0));

export interface Made {
  id: Bytes; // WebAuthn credential id
  public: Bytes;
  class: number;
  object: Bytes; // attestation
  clientData: Bytes;
}

// keepName is under which name a gateway keeps what belongs to a credential.
export const keepName = async (id: Bytes): Promise<string> => toHex(await sha256(id));

// checkHere refuses to go on where passkeys of this network are not used.
export function checkHere(c: Clinic): void {
  if (!("PublicKeyCredential" in window)) {
    throw new Told("This browser cannot use passkeys", "Please use another browser or another device.");
  }
  if (!c.origins.includes(location.origin)) {
    throw new Told("This is not the address for your passkey", `Please open ${c.origins.filter((o) => o.startsWith("http")).join(" or ")}.`);
  }
}

// create makes a passkey. With a challenge its maker is asked to vouch for it.
export async function create(c: Clinic, challenge?: Bytes): Promise<Made> {
  const made = await navigator.credentials.create({
    publicKey: {
      rp: { id: c.rpID, name: "Abaton" },
      user: { id: random(16), name: title, displayName: title },
      challenge: challenge ?? random(32), // a patient's counts by the proof over the inception
      pubKeyCredParams: [-7, -8, -257].map((alg) => ({ type: "public-key", alg })),
      authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
      attestation: challenge ? "direct" : "none",
      timeout,
      extensions: { prf: {} },
    },
  });
  if (!(made instanceof PublicKeyCredential)) throw new Told("No passkey was made", "You can try again.");
  const response = made.response as AuthenticatorAttestationResponse;
  const spki = response.getPublicKey();
  if (made.getClientExtensionResults().prf?.enabled !== true || spki === null) {
    await forget(c, made.id);
    throw new Told(
      "This device cannot keep the key to a health record",
      "It made a passkey, but one that cannot lock and unlock a key (PRF). It was not used, and you can delete it.",
      "Please use another device: a phone with iOS 18 or Android 14 or newer, a computer with macOS 15 or newer, or a security key. Or ask your clinic for a kit on paper.",
    );
  }
  const authData = take(response.getAuthenticatorData());
  return {
    id: take(made.rawId), public: await publicFrom(spki, response.getPublicKeyAlgorithm()), class: classOf(authData),
    object: take(response.attestationObject), clientData: take(response.clientDataJSON),
  };
}

// forget tells the passkey's keeper that it is of no use, where browsers can.
export async function forget(c: Clinic, id: string): Promise<void> {
  const ask = PublicKeyCredential as unknown as { signalUnknownCredential?: (o: object) => Promise<void> };
  await ask.signalUnknownCredential?.({ rpId: c.rpID, credentialId: id }).catch(() => undefined);
}

export interface Touched {
  id: Bytes;
  prf: Bytes | undefined;
  assert(publicKey: Bytes): Assertion;
}

// touch asks for one touch over challenge. id names the passkey; without it the
// person chooses. PRF's output comes with it only where unlock asks for it.
export async function touch(c: Clinic, challenge: Bytes, id?: Bytes, unlock = false): Promise<Touched> {
  const got = await navigator.credentials.get({
    publicKey: {
      rpId: c.rpID, challenge, userVerification: "required", timeout,
      ...(id ? { allowCredentials: [{ type: "public-key" as const, id }] } : {}),
      ...(unlock ? { extensions: { prf: { eval: { first: prfInput } } } } : {}),
    },
  });
  if (!(got instanceof PublicKeyCredential)) throw new Told("The passkey was not used", "You can try again.");
  const response = got.response as AuthenticatorAssertionResponse;
  const first = got.getClientExtensionResults().prf?.results?.first;
  const rawID = take(got.rawId);
  if (id && !equal(id, rawID)) throw new Told("That was another passkey", "Please use the one that was asked for.");
  return {
    id: rawID,
    prf: first === undefined ? undefined : ArrayBuffer.isView(first) ? new Uint8Array(first.buffer, first.byteOffset, first.byteLength).slice() : take(first),
    assert: (publicKey) => ({
      public: publicKey, authData: take(response.authenticatorData), clientData: take(response.clientDataJSON), sig: take(response.signature),
    }),
  };
}

// needPRF is the output, or words for whoever's passkey gives none.
export function needPRF(t: Touched): Bytes {
  if (t.prf) return t.prf;
  throw new Told(
    "This device did not give the key to your record",
    "Your passkey signs you in here, but this device or browser cannot unlock with it (PRF).",
    "Please use the device you enrolled with, or another one of yours.",
  );
}

