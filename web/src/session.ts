// Sessions: the statement a passkey signs, the seeds lent to a session, and
// step-ups (PROTOCOL.md#session, #session-seeds, #step-up).
import { equal, isZero, type Bytes } from "./bytes.ts";
import { Malformed } from "./cbor.ts";
import * as form from "./form.ts";
import { assertionForm, nameOf, refusal, type Assertion, type RelyingParty } from "./assertion.ts";
import { open, seal } from "./box.ts";
import { signature } from "./event.ts";
import { marshalSeeds, parseSeeds, type Seed } from "./grant.ts";
import { hash, message } from "./labels.ts";

export const statementForm = form.map({
  v: form.uint,
  actor: form.fixed(32),
  credential: form.fixed(32),
  key: form.fixed(32),
  reply: form.bytes,
  notBefore: form.int,
  expires: form.int,
  set: form.fixed(32),
  checkpoints: form.list(form.bytes),
  nonce: form.fixed(16),
  organisation: form.fixed(32),
  role: form.text,
  device: form.fixed(32), // zero but for clinicians
  behalf: form.fixed(32), // zero but for clinicians on call
});
export type Statement = form.Of<typeof statementForm>;
const signedForm = form.tuple({ statement: form.bytes, assertion: assertionForm, device: form.bytes, posture: form.bytes });
const none: Bytes = new Uint8Array(0); // a patient's browser brings no device

export const marshalStatement = (s: Statement): Bytes => form.marshal(statementForm, s);
export const sessionID = (statement: Uint8Array): Promise<Bytes> => hash("abaton/v1/session", statement);
export const marshalSigned = (statement: Bytes, assertion: Assertion, device = none, posture = none): Bytes =>
  form.marshal(signedForm, { statement, assertion, device, posture });

// authenticate is what a keeper checks before it looks at a log; "" or the
// reason.
export async function authenticate(data: Uint8Array, rp: RelyingParty): Promise<{ refused: string; id: Bytes }> {
  const id = new Uint8Array(32);
  try {
    const s = form.unmarshal(signedForm, data);
    const st = form.unmarshal(statementForm, s.statement);
    if (st.checkpoints.length > 5 || st.role.length > 32) return { refused: "too-large", id };
    const good = st.v === 1 && !isZero(st.actor) && !isZero(st.key) && st.reply.length === 1216 && st.notBefore >= 0 &&
      st.expires > st.notBefore && !isZero(st.set) && st.checkpoints.length > 0 && !isZero(st.nonce) && /^[a-z0-9-]*$/.test(st.role);
    if (!good) throw new Malformed();
    const name = await sessionID(s.statement);
    const own = equal(await nameOf(s.assertion.public), st.credential);
    if (!own || (await refusal(s.assertion, name, rp))) return { refused: "session-invalid", id: name };
    return { refused: await deviceRefusal(st, name, s.device, s.posture), id: name };
  } catch (err) {
    if (err instanceof Malformed) return { refused: "malformed", id };
    throw err;
  }
}

const deviceForm = form.map({ key: form.fixed(32), sig: form.bytes });
const postureForm = form.map({
  v: form.uint,
  organisation: form.fixed(32),
  device: form.fixed(32),
  level: form.u8,
  from: form.int,
  until: form.int,
  signer: form.fixed(32),
});
const sealedForm = form.tuple({ body: form.bytes, sig: form.bytes });
const postureLife = 24 * 3600;

// deviceProof: this passkey was used on the device with this key.
export async function deviceProof(publicKey: Bytes, key: CryptoKey, id: Bytes): Promise<Bytes> {
  const sig = new Uint8Array(await crypto.subtle.sign("Ed25519", key, message("abaton/v1/device-proof", id)));
  return form.marshal(deviceForm, { key: publicKey, sig });
}

// readPosture is an organisation's word about a device; whether its signer may
// give it, keepers decide.
export async function readPosture(word: Bytes): Promise<form.Of<typeof postureForm>> {
  const sealed = form.unmarshal(sealedForm, word);
  const p = form.unmarshal(postureForm, sealed.body);
  if (p.v !== 1 || !(await signature(p.signer, "abaton/v1/posture", sealed.body, sealed.sig))) throw new Malformed();
  return p;
}

// deviceRefusal: a statement that names a device carries its signature and
// its organisation's word about it, and no other statement does.
async function deviceRefusal(st: Statement, id: Bytes, proof: Bytes, word: Bytes): Promise<string> {
  if (isZero(st.device)) return proof.length + word.length > 0 ? "malformed" : "";
  try {
    const by = form.unmarshal(deviceForm, proof);
    const sealed = form.unmarshal(sealedForm, word);
    const p = form.unmarshal(postureForm, sealed.body);
    const good = p.v === 1 && equal(p.device, st.device) && !isZero(p.organisation) && equal(p.organisation, st.organisation) &&
      p.level >= 1 && p.level <= 3 && p.from >= 0 && p.until > p.from && p.until - p.from <= postureLife &&
      (await signature(by.key, "abaton/v1/device-proof", id, by.sig)) && (await signature(p.signer, "abaton/v1/posture", sealed.body, sealed.sig));
    return good ? "" : "device";
  } catch (err) {
    if (err instanceof Malformed) return "device";
    throw err;
  }
}

// Bundle is the seeds of one grant, zero for the patient's own.
export interface Bundle {
  patient: Bytes;
  grant: Bytes;
  seeds: Seed[];
}
const bundlesForm = form.list(form.map({ patient: form.fixed(32), grant: form.fixed(32), seeds: form.bytes }));

export const sealSeeds = (reply: Bytes, session: Bytes, bundles: Bundle[]): Promise<Bytes> =>
  seal(reply, "abaton/v1/session-seeds", session, form.marshal(bundlesForm, bundles.map((b) => ({ ...b, seeds: marshalSeeds(b.seeds) }))));

export async function openSeeds(seed: Bytes, session: Bytes, sealed: Bytes): Promise<Bundle[]> {
  const all = form.unmarshal(bundlesForm, await open(seed, "abaton/v1/session-seeds", session, sealed));
  if (all.some((b) => isZero(b.patient))) throw new Malformed();
  return all.map((b) => ({ ...b, seeds: parseSeeds(b.seeds) }));
}

export const stepUpForm = form.map({
  v: form.uint,
  session: form.fixed(32),
  patient: form.fixed(32),
  lines: form.list(form.fixed(16)),
  purpose: form.text,
  time: form.int,
  nonce: form.fixed(16),
});
export type StepUp = form.Of<typeof stepUpForm>;

export const stepUpChallenge = (u: StepUp): Promise<Bytes> => hash("abaton/v1/step-up", form.marshal(stepUpForm, u));
export const marshalStepUp = (stepUp: StepUp, assertion: Assertion): Bytes =>
  form.marshal(form.tuple({ stepUp: stepUpForm, assertion: assertionForm }), { stepUp, assertion });

// Approval is a second clinician's word (PROTOCOL.md#approval).
export const approvalForm = form.map({
  v: form.uint,
  session: form.fixed(32),
  patient: form.fixed(32),
  escrow: form.fixed(32),
  opener: form.fixed(32),
  opening: form.fixed(32),
  verdict: form.u8,
  time: form.int,
  nonce: form.fixed(16),
});
export type Approval = form.Of<typeof approvalForm>;

export const approvalChallenge = (a: Approval): Promise<Bytes> => hash("abaton/v1/approval", form.marshal(approvalForm, a));
export const marshalApproval = (approval: Approval, assertion: Assertion): Bytes =>
  form.marshal(form.tuple({ approval: approvalForm, assertion: assertionForm }), { approval, assertion });
