// A computer of the clinic as a device of its own: its key is made here, can be
// used here and read nowhere (PROTOCOL.md#posture). Keepers answer clinicians
// only where such a device signs too and the clinic vouches for it.
import * as api from "./api.ts";
import { BOUND, classOf } from "./assertion.ts";
import { publicOf } from "./box.ts";
import { equal, fromBase64url, random, toBase64url, type Bytes } from "./bytes.ts";
import * as device from "./device.ts";
import { Told } from "./dom.ts";
import * as event from "./event.ts";
import { checkHere } from "./passkey.ts";
import * as session from "./session.ts";

const MANAGE = 1, DEVICE_RIGHT = 4;
const word = "abaton.posture"; // what the clinic last said; no secret

// Seat is this browser as an enrolled device.
export interface Seat {
  actor: Bytes;
  public: Bytes;
  key: CryptoKey; // not to be exported
}

function store<T>(mode: IDBTransactionMode, ask: (s: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  return new Promise((done, failed) => {
    const opening = indexedDB.open("abaton", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("seat");
    opening.onerror = () => failed(opening.error);
    opening.onsuccess = () => {
      const asked = ask(opening.result.transaction("seat", mode).objectStore("seat"));
      asked.onsuccess = () => done(asked.result);
      asked.onerror = () => failed(asked.error);
    };
  });
}

export const seat = (): Promise<Seat | undefined> => store("readonly", (s) => s.get("this"));

async function newKey(): Promise<{ public: Bytes; key: CryptoKey }> {
  const pair = (await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"])) as CryptoKeyPair;
  return { public: new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)), key: pair.privateKey };
}

// enrol makes this browser a device, by an invitation that the clinic's
// managers signed. The key that could change its log is used once and dropped:
// a device is ended by the clinic, never changed.
export async function enrol(c: api.Clinic, invitation: Bytes): Promise<string> {
  checkHere(c);
  const v = await event.readInvitation(invitation).catch(() => undefined);
  if (v?.kind !== event.DEVICE || !equal(v.organisation, c.organisation) || v.expires <= Math.floor(Date.now() / 1000)) {
    throw new Told("This link is not for a computer here, or has run out", "Please ask your clinic for a new one.");
  }
  const [own, manage, box] = [await newKey(), await newKey(), random(32)];
  const bytes = event.newInception({
    kind: event.DEVICE, keys: [{ id: own.public, rights: DEVICE_RIGHT }, { id: manage.public, rights: MANAGE }], credentials: [], box: await publicOf(box),
    organisation: c.organisation, invitation, set: c.set, lines: [], grants: [], document: new Uint8Array(0), nonce: random(16), approvals: 0,
  }, Math.floor(Date.now() / 1000));
  box.fill(0); // nothing is sealed to a device
  const done = await api.enrolDevice(await event.signedWith(bytes, manage.public, manage.key));
  const actor = await event.actorOf(bytes);
  if (done.actor !== api.nameOf(actor)) throw new Told("The clinic's computer gave another name", "Please tell your clinic.");
  await store("readwrite", (s) => s.put({ actor, public: own.public, key: own.key }, "this"));
  return done.actor;
}

// vouched keeps the clinic's word about this device, for as long as it holds.
export async function vouched(s: Seat, posture: Bytes): Promise<void> {
  const p = await session.readPosture(posture).catch(() => undefined);
  if (!p || !equal(p.device, s.actor)) throw new Told("This is not about this computer", "Please ask your clinic for the right link.");
  localStorage.setItem(word, toBase64url(posture));
}

// signIn is one touch of a clinician's own security key, at this device.
export async function signIn(c: api.Clinic, s: Seat, role: string): Promise<device.Session> {
  const posture = await lastWord(s);
  const own = await device.who(c);
  const at = { role, device: s.actor, posture, prove: (id: Bytes) => session.deviceProof(s.public, s.key, id) };
  const { session: signed, touched } = await device.start(c, own.id, own.kept, false, at).catch((err: unknown) => {
    if (!(err instanceof api.Refused) || err.status >= 500) throw err;
    throw new Told("You are not signed in", "Your clinic has not taken you on in this role, or this computer is not one of its own any more.", "Please ask your clinic.");
  });
  if (classOf(touched.assert(own.kept.public).authData) !== BOUND) throw new Told("This passkey can be copied to other devices", "Staff use one that stays where it is: a security key of your clinic.");
  device.recall(own.id, c.set);
  return signed;
}

async function lastWord(s: Seat): Promise<Bytes> {
  try {
    const posture = fromBase64url(localStorage.getItem(word) ?? "");
    const p = await session.readPosture(posture);
    if (equal(p.device, s.actor) && p.until > Math.floor(Date.now() / 1000)) return posture;
  } catch {
    // none, or not in its form: the same as one that has run out
  }
  throw new Told("Your clinic has not vouched for this computer today", "Each computer needs the clinic's word once a day. Please ask your clinic for the link of today.");
}
