// Key-log events that a person's own device makes, and how they are proved
// (PROTOCOL.md#event, #proof, #inception).
import { equal, fromBase64url, isZero, join, type Bytes } from "./bytes.ts";
import { Malformed } from "./cbor.ts";
import * as form from "./form.ts";
import { assertionForm, classOf, nameOf, parsePublic, refusal, type Assertion, type RelyingParty } from "./assertion.ts";
import { parseGrant } from "./grant.ts";
import { hash, message, type Label } from "./labels.ts";

export const PATIENT = 1, CLINICIAN = 2, DEVICE = 4, KEEPER_SET = 6;

export const eventForm = form.map({
  v: form.uint,
  actor: form.fixed(32),
  seq: form.uint,
  prev: form.list(form.fixed(32)),
  kind: form.u8,
  time: form.int,
  body: form.bytes,
});

const proofForm = form.tuple({ tag: form.u8, body: form.bytes });
export const signedForm = form.tuple({ event: form.bytes, proofs: form.list(proofForm) });
const keyProofForm = form.map({ key: form.fixed(32), sig: form.bytes });

export const keyForm = form.map({ id: form.fixed(32), rights: form.u8 });
export const credentialForm = form.map({ public: form.bytes, class: form.u8 });
export const epochForm = form.map({
  line: form.fixed(16),
  level: form.u8,
  epoch: form.u32,
  segment: form.fixed(1216),
  urgent: form.bool,
  wraps: form.list(form.map({ grantee: form.fixed(32), sealed: form.bytes })),
});
export const grantedForm = form.map({ grant: form.bytes, wrap: form.bytes });
export const inceptionForm = form.map({
  kind: form.u8,
  keys: form.list(keyForm),
  credentials: form.list(credentialForm),
  box: form.bytes,
  organisation: form.fixed(32),
  invitation: form.bytes,
  set: form.fixed(32),
  lines: form.list(epochForm),
  grants: form.list(grantedForm),
  document: form.bytes,
  nonce: form.fixed(16),
  approvals: form.u8, // organisations only
});
export type Inception = form.Of<typeof inceptionForm>;

const invitationForm = form.map({
  v: form.uint,
  organisation: form.fixed(32),
  kind: form.u8,
  nonce: form.fixed(16),
  expires: form.int,
  signers: form.list(form.fixed(32)),
  credential: form.fixed(32), // zero: whichever
});
export type Invitation = form.Of<typeof invitationForm>;
const invitedForm = form.tuple({ body: form.bytes, sigs: form.list(form.bytes) });
const approvalsMax = 2;

export const revokeForm = form.map({ grant: form.fixed(32), urgent: form.bool });
const barForm = form.map({ actor: form.fixed(32), until: form.int }); // until 0: for ever
const eraseForm = form.map({ rows: form.list(form.tuple({ batch: form.fixed(32), bits: form.u64 })) });

export const hashOf = (event: Uint8Array): Promise<Bytes> => hash("abaton/v1/event", event);
export const actorOf = (inception: Uint8Array): Promise<Bytes> => hash("abaton/v1/actor", inception);

export const newInception = (body: Inception, time: number): Bytes =>
  form.marshal(eventForm, { v: 1, actor: new Uint8Array(32), seq: 0, prev: [], kind: 1, time, body: form.marshal(inceptionForm, body) });

// readOrigin is the inception of a person's log.
export function readOrigin(event: Bytes): Inception {
  const e = form.unmarshal(eventForm, event);
  if (e.v !== 1 || e.kind !== 1) throw new Malformed();
  return form.unmarshal(inceptionForm, e.body);
}

// Place is where a log ends: what the next event stands on.
export interface Place {
  actor: Bytes;
  seq: number;
  hash: Bytes;
}

export const newRevoke = (at: Place, grant: Bytes, time: number): Bytes => next(at, 8, form.marshal(revokeForm, { grant, urgent: false }), time);

// newEscrow gives a second way back in: the body of a kit.
export const newEscrow = (at: Place, body: Bytes, time: number): Bytes => next(at, 19, body, time);

export const recoverForm = form.map({ escrow: form.fixed(32), credential: credentialForm, box: form.bytes, nonce: form.fixed(16) });
const next = (at: Place, kind: number, body: Bytes, time: number): Bytes =>
  form.marshal(eventForm, { v: 1, actor: at.actor, seq: at.seq + 1, prev: [at.hash], kind, time, body });

// newRecover says that the log's owner wants back in; it gives nothing.
export const newRecover = (at: Place, body: form.Of<typeof recoverForm>, time: number): Bytes => next(at, 20, form.marshal(recoverForm, body), time);

// readRecover is an event that somebody asks helpers to prove.
export function readRecover(event: Bytes): { actor: Bytes } & form.Of<typeof recoverForm> {
  const e = form.unmarshal(eventForm, event);
  if (e.v !== 1 || e.kind !== 20 || isZero(e.actor)) throw new Malformed();
  const body = form.unmarshal(recoverForm, e.body);
  if (isZero(body.escrow) || body.box.length !== 1216) throw new Malformed();
  return { actor: e.actor, ...body };
}

// newVeto stops a recovery for ever.
export const newVeto = (at: Place, recover: Bytes, time: number): Bytes =>
  next(at, 21, form.marshal(form.map({ recover: form.fixed(32) }), { recover }), time);

// newCredential adds a passkey; newRemoval removes one by its name, or a key.
export const newCredential = (at: Place, credential: form.Of<typeof credentialForm>, time: number): Bytes =>
  next(at, 4, form.marshal(form.map({ credential: credentialForm }), { credential }), time);
export const newRemoval = (at: Place, what: "key" | "passkey", id: Bytes, time: number): Bytes =>
  next(at, what === "key" ? 3 : 5, form.marshal(form.map({ id: form.fixed(32) }), { id }), time);

// signedByKey proves an event with a managing key, of this seed.
export async function signedByKey(event: Bytes, seed: Bytes): Promise<Bytes> {
  const { id, key } = await signingKey(seed);
  return signedWith(event, id, key);
}

// signedWith proves an event with a signing key.
export async function signedWith(event: Bytes, id: Bytes, key: CryptoKey): Promise<Bytes> {
  const sig = new Uint8Array(await crypto.subtle.sign("Ed25519", key, message("abaton/v1/event", await hashOf(event))));
  return form.marshal(signedForm, { event, proofs: [{ tag: 1, body: form.marshal(keyProofForm, { key: id, sig }) }] });
}

// signingKey is the Ed25519 key of a seed (RFC 8410, section 7).
export async function signingKey(seed: Bytes): Promise<{ id: Bytes; key: CryptoKey }> {
  const pkcs8 = join(Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20), seed);
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", true, ["sign"]);
  pkcs8.fill(0);
  return { id: fromBase64url((await crypto.subtle.exportKey("jwk", key)).x!), key };
}

// signedBy puts a passkey's proof beside an event.
export const signedBy = (event: Bytes, a: Assertion): Bytes =>
  form.marshal(signedForm, { event, proofs: [{ tag: 2, body: form.marshal(assertionForm, a) }] });

// signedByAll puts the proofs of several passkeys beside an event, each as its
// owner sent it.
export const signedByAll = (event: Bytes, assertions: Bytes[]): Bytes =>
  form.marshal(signedForm, { event, proofs: assertions.map((body) => ({ tag: 2, body })) });

export async function signature(key: Bytes, label: Label, body: Bytes, sig: Bytes): Promise<boolean> {
  const k = await crypto.subtle.importKey("raw", key, "Ed25519", false, ["verify"]).catch(() => undefined);
  return k !== undefined && crypto.subtle.verify("Ed25519", k, sig, message(label, body));
}

// readInvitation reads what a clinic hands out and checks its signature;
// whether the signer may invite, keepers decide.
export const readInvitation = (data: Uint8Array): Promise<Invitation> => readInvited(data, "abaton/v1/invitation");

// readTicket reads what a clinic hands to a new clinician.
export const readTicket = (data: Uint8Array): Promise<Invitation> => readInvited(data, "abaton/v1/enrolment");

async function readInvited(data: Uint8Array, label: Label): Promise<Invitation> {
  const s = form.unmarshal(invitedForm, data);
  const v = form.unmarshal(invitationForm, s.body);
  const different = new Set(v.signers.map((k) => k.join())).size === v.signers.length;
  if (v.v !== 1 || isZero(v.nonce) || v.expires <= 0 || isZero(v.organisation) || !different ||
    v.signers.length < 1 || v.signers.length > approvalsMax || s.sigs.length !== v.signers.length) {
    throw new Malformed();
  }
  for (const [i, signer] of v.signers.entries()) {
    if (!(await signature(signer, label, s.body, s.sigs[i]!))) throw new Malformed();
  }
  return v;
}

// Read is what an event's bytes and proofs show without a log.
export interface Read {
  refused: string; // "" or the reason (reasons.go)
  actor: Bytes;
  hash: Bytes;
}

// authenticate checks events of the kinds a person's device makes, as keepers
// do before they look at a log (PROTOCOL.md#authenticate).
export async function authenticate(data: Uint8Array, rp: RelyingParty): Promise<Read> {
  const none = new Uint8Array(32);
  try {
    const s = form.unmarshal(signedForm, data);
    const e = form.unmarshal(eventForm, s.event);
    const id = await hashOf(s.event);
    if (e.v !== 1 || e.kind < 1 || e.kind > 21 || e.time < 0 || !chained(e)) throw new Malformed();
    const by = await provers(s.proofs, id, rp);
    const refused = by.refused || (await bodyRefusal(e.kind, e.body, by));
    return { refused, actor: e.kind === 1 ? await actorOf(s.event) : e.actor, hash: id };
  } catch (err) {
    if (err instanceof Malformed) return { refused: "malformed", actor: none, hash: none };
    throw err;
  }
}

function chained(e: form.Of<typeof eventForm>): boolean {
  if (e.kind === 1) return isZero(e.actor) && e.seq === 0 && e.prev.length === 0;
  return !isZero(e.actor) && e.seq > 0 && (e.kind === 11 ? e.prev.length >= 2 : e.prev.length === 1);
}

interface Provers {
  refused: string;
  keys: Bytes[];
  passkeys: { name: Bytes; class: number }[];
}

async function provers(proofs: form.Of<typeof proofForm>[], id: Bytes, rp: RelyingParty): Promise<Provers> {
  const by: Provers = { refused: proofs.length === 0 ? "signature" : "", keys: [], passkeys: [] };
  for (const p of proofs) {
    if (p.tag === 1) {
      const k = form.unmarshal(keyProofForm, p.body);
      if (!(await signature(k.key, "abaton/v1/event", id, k.sig))) by.refused = "signature";
      if (by.keys.some((other) => equal(other, k.key))) throw new Malformed();
      by.keys.push(k.key);
    } else if (p.tag === 2) {
      const a = form.unmarshal(assertionForm, p.body);
      if (await refusal(a, id, rp)) by.refused = "signature";
      by.passkeys.push({ name: await nameOf(a.public), class: classOf(a.authData) });
    } else {
      throw new Malformed();
    }
  }
  return by;
}

async function bodyRefusal(kind: number, body: Bytes, by: Provers): Promise<string> {
  switch (kind) {
    case 1:
      return inceptionRefusal(form.unmarshal(inceptionForm, body), by);
    case 2: {
      const k = form.unmarshal(form.map({ key: keyForm }), body).key;
      if (isZero(k.id) || k.rights === 0 || (k.rights & ~15) !== 0) throw new Malformed();
      return by.keys.some((other) => equal(other, k.id)) ? "" : "signature";
    }
    case 3:
    case 5:
      if (isZero(form.unmarshal(form.map({ id: form.fixed(32) }), body).id)) throw new Malformed();
      return "";
    case 4:
      await checkCredential(form.unmarshal(form.map({ credential: credentialForm }), body).credential);
      return "";
    case 7:
      parseGrant(form.unmarshal(grantedForm, body).grant);
      return "";
    case 8:
      if (isZero(form.unmarshal(revokeForm, body).grant)) throw new Malformed();
      return "";
    case 9: {
      const bar = form.unmarshal(barForm, body);
      if (isZero(bar.actor) || bar.until < 0) throw new Malformed();
      return "";
    }
    case 10:
      checkErase(form.unmarshal(eraseForm, body).rows);
      return "";
  }
  throw new Malformed(); // not of a person's device
}

function checkErase(rows: { batch: Bytes; bits: bigint }[]): void {
  const names = new Set(rows.map((r) => r.batch.join()));
  if (rows.length === 0 || names.size !== rows.length || rows.some((r) => r.bits === 0n || isZero(r.batch))) throw new Malformed();
}

async function checkCredential(c: form.Of<typeof credentialForm>): Promise<void> {
  if ((c.class !== 1 && c.class !== 2) || !(await parsePublic(c.public))) throw new Malformed();
}

async function inceptionRefusal(in_: Inception, by: Provers): Promise<string> {
  if (in_.kind < 1 || in_.kind > 5 || isZero(in_.nonce) || in_.box.length !== 1216 || in_.document.length > 0 || (in_.kind !== 3 && in_.approvals !== 0)) throw new Malformed();
  let entitled = in_.keys.some((k) => (k.rights & 1) !== 0 && by.keys.some((other) => equal(other, k.id)));
  for (const c of in_.credentials) {
    await checkCredential(c);
    const name = await nameOf(c.public);
    entitled ||= in_.kind === PATIENT && by.passkeys.some((p) => equal(p.name, name) && p.class === c.class);
  }
  if (in_.invitation.length === 0) return "invitation";
  for (const g of in_.grants) {
    if (!isZero(parseGrant(g.grant).patient)) throw new Malformed();
  }
  if (!entitled) return "credential";
  const v = await readInvitation(in_.invitation).catch(() => undefined);
  if (v?.kind !== in_.kind || !equal(v.organisation, in_.organisation)) return "invitation";
  const only = in_.credentials.length === 1 ? await nameOf(in_.credentials[0]!.public) : undefined;
  return isZero(v.credential) || (only && equal(only, v.credential)) ? "" : "invitation";
}

