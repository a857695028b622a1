// What a person's browser does with its passkey: enrol, sign in, lend seeds,
// step up, take access back. Roots and PRF outputs live in these functions and
// are erased when they return.
import * as api from "./api.ts";
import type { Assertion } from "./assertion.ts";
import { BOUND, nameOf } from "./assertion.ts";
import { equal, fromBase64url, fromHex, fromName, random, toBase64url, toName, utf8, type Bytes } from "./bytes.ts";
import { publicOf } from "./box.ts";
import { Told } from "./dom.ts";
import { makeHelpers, makeKit, type Holder } from "./escrow.ts";
import * as event from "./event.ts";
import { DEPOSIT, marshalGrant, READ, wrapSeeds, type Seed } from "./grant.ts";
import { hash } from "./labels.ts";
import { checkHere, create, forget, keepName, needPRF, touch, type Touched } from "./passkey.ts";
import { Root, rootBytes, unwrap, wrap } from "./root.ts";
import * as session from "./session.ts";

const zero = new Uint8Array(32);
const now = (): number => Math.floor(Date.now() / 1000);

// What a first grant gives: for a year, and as many records as a life has.
const grantLife = 365 * 24 * 3600;
const quota = 10_000_000;
const sessionLife = 15 * 60;
const slack = 5; // a keeper's clock may be behind
const lockedLevel = 3;

// Enrolment is what the person was invited to and chose.
export interface Enrolment {
  invitation: Bytes;
  clinicWrites: boolean;
  reader?: string; // act1..., who may read all but locked parts
}

// enrol makes passkey, root and key log. Nothing is kept anywhere before the
// root is wrapped.
// With it a kit is made, which counts once its owner has it on paper.
export async function enrol(c: api.Clinic, e: Enrolment): Promise<{ actor: string; kit: Kit }> {
  checkHere(c);
  const v = await event.readInvitation(e.invitation).catch(() => undefined);
  if (v?.kind !== event.PATIENT || !equal(v.organisation, c.organisation)) {
    throw new Told("This invitation is not for you here", "Please ask your clinic for a new one.");
  }
  if (v.expires <= now()) throw new Told("This invitation has run out", "Please ask your clinic for a new one.");
  const passkey = await create(c);
  const secret = random(rootBytes);
  try {
    const body = await inception(c, e, { public: passkey.public, class: passkey.class }, await Root.from(secret));
    const bytes = event.newInception(body, now());
    const at = { actor: await event.actorOf(bytes), seq: 0, hash: await event.hashOf(bytes) };
    const touched = await touch(c, at.hash, passkey.id, true);
    const prf = needPRF(touched);
    const wrapped = await wrap(prf, passkey.id, secret);
    prf.fill(0);
    const kit = await newKit(c, at, secret, async (challenge) => (await touch(c, challenge, passkey.id)).assert(passkey.public));
    const done = await post(c, passkey.id, () => api.enrol(event.signedBy(bytes, touched.assert(passkey.public)), passkey.id, wrapped));
    const actor = toName("act1", at.actor);
    if (done.actor !== actor) throw new Told("The clinic's computer gave another name", "Please tell your clinic.");
    return { actor, kit };
  } catch (err) {
    if (!(err instanceof Unsure)) await forget(c, toBase64url(passkey.id));
    throw err;
  } finally {
    secret.fill(0);
  }
}

// Kit is a way back in that is not in force yet: its words stand nowhere but on
// the page, and the root is in it sealed only.
export interface Kit {
  id: string; // gra1...
  actor: string;
  words: string[];
  wait: number; // seconds, from asking to opening
  confirm(): Promise<api.Published>; // one touch; again where too few keepers answered
}

// newKit makes one over a root that the caller erases.
export async function newKit(c: api.Clinic, at: event.Place, secret: Bytes, prove: (challenge: Bytes) => Promise<Assertion>): Promise<Kit> {
  const { codeBytes, wordsOf } = await import("./words.ts");
  const code = random(codeBytes);
  const seed = await (await Root.from(secret)).boxSeed();
  const body = await makeKit(at.actor, c.keepers, code, secret, seed);
  seed.fill(0);
  const words = await wordsOf(code);
  code.fill(0);
  const bytes = event.newEscrow(at, body, now());
  const id = await event.hashOf(bytes);
  let signed: Bytes | undefined;
  return {
    id: toName("gra1", id), actor: toName("act1", at.actor), words, wait: c.keepers.wait,
    confirm: async () => {
      signed ??= event.signedBy(bytes, await prove(id));
      return api.publish(signed);
    },
  };
}

// kit makes one in a session, with one touch to open the root and, once it is
// on paper, one to sign.
export async function kit(s: Session): Promise<Kit> {
  const prf = needPRF(await touch(s.clinic, random(32), s.credential, true));
  const secret = await unlock(s, prf);
  try {
    return await newKit(s.clinic, await end(s), secret, (challenge) => proof(s, challenge));
  } finally {
    secret.fill(0);
  }
}

// Unsure is an enrolment that may be in force, or come to be: the passkey has
// to stay.
class Unsure extends Told {
  constructor() {
    super(
      "We do not know yet whether that worked", "Too few keepers answered, or the connection broke. Your passkey is kept: do not delete it.",
      "In a few minutes, try to sign in with it. If it is not known then, open the invitation again.",
    );
  }
}

// post sends an enrolment, three times where no answer says yes or no: the
// same one again is answered as the first.
async function post<T>(c: api.Clinic, id: Bytes, send: () => Promise<T>): Promise<T> {
  for (let i = 0; i < 3; i++) {
    try {
      const done = await send();
      remember({ id, set: c.set });
      return done;
    } catch (err) {
      if (err instanceof api.Refused && err.status < 500) throw err;
      await new Promise((go) => setTimeout(go, 1000 << i));
    }
  }
  remember({ id, set: c.set });
  throw new Unsure();
}

// enrolStaff makes a clinician's key log by a ticket: the clinic first looks
// whether it takes the authenticator.
export async function enrolStaff(c: api.Clinic, ticket: Bytes): Promise<string> {
  checkHere(c);
  const v = await event.readTicket(ticket).catch(() => undefined);
  if (v?.kind !== event.CLINICIAN || !equal(v.organisation, c.organisation) || v.expires <= now()) {
    throw new Told("This link is not for you here, or has run out", "Please ask your clinic for a new one.");
  }
  const passkey = await create(c, await hash("abaton/v1/enrolment", ticket));
  const secret = random(rootBytes);
  try {
    if (passkey.class !== BOUND) {
      throw new Told("This passkey can be copied to other devices", "Staff use one that stays where it is: a security key of your clinic.");
    }
    const invitation = await api.attest(ticket, passkey.object, passkey.clientData);
    const prf = needPRF(await touch(c, random(32), passkey.id, true));
    const wrapped = await wrap(prf, passkey.id, secret);
    prf.fill(0);
    const root = await Root.from(secret);
    const manage = await root.manageSeed();
    const { id } = await event.signingKey(manage);
    const bytes = event.newInception({
      kind: event.CLINICIAN, keys: [{ id, rights: 1 }], credentials: [{ public: passkey.public, class: passkey.class }],
      box: await publicOf(await root.boxSeed()), organisation: c.organisation, invitation, set: c.set, lines: [], grants: [],
      document: new Uint8Array(0), nonce: random(16), approvals: 0,
    }, now());
    const signed = await event.signedByKey(bytes, manage);
    const done = await post(c, passkey.id, () => api.enrol(signed, passkey.id, wrapped));
    manage.fill(0);
    return done.actor;
  } catch (err) {
    if (!(err instanceof Unsure)) await forget(c, toBase64url(passkey.id));
    throw err;
  } finally {
    secret.fill(0);
  }
}

async function inception(c: api.Clinic, e: Enrolment, credential: { public: Bytes; class: number }, root: Root): Promise<event.Inception> {
  const lines = await Promise.all(c.categories.map(async (cat) => ({
    line: await root.line(cat.id), level: cat.level, epoch: 1, segment: await root.segment(cat.id, 1), urgent: false, wraps: [],
  })));
  const grants = [];
  if (e.clinicWrites) grants.push(await firstGrant(c.organisation, c.box, DEPOSIT, "HOPERAT", await seedsOf(c.categories, root, false)));
  if (e.reader) {
    const open = c.categories.filter((cat) => cat.level < lockedLevel);
    grants.push(await firstGrant(fromName("act1", e.reader), await api.boxOf(e.reader), READ, "TREAT", await seedsOf(open, root, true)));
  }
  return {
    kind: event.PATIENT, keys: [], credentials: [credential], box: await publicOf(await root.boxSeed()), organisation: c.organisation,
    invitation: e.invitation, set: c.set, lines, grants, document: new Uint8Array(0), nonce: random(16), approvals: 0,
  };
}

const seedsOf = (categories: api.Category[], root: Root, open: boolean): Promise<Seed[]> =>
  Promise.all(categories.map(async (cat) => ({
    line: await root.line(cat.id), category: cat.id, level: cat.level, epoch: 1,
    seed: open ? await root.seed(cat.id, 1) : new Uint8Array(0),
  })));

// firstGrant stands in an inception, where the patient has no name yet.
async function firstGrant(grantee: Bytes, box: Bytes, actions: number, purpose: string, seeds: Seed[]): Promise<{ grant: Bytes; wrap: Bytes }> {
  const at = now();
  const grant = marshalGrant({
    v: 1, patient: zero, grantee, actions, lines: seeds.map((s) => s.line), purposes: [purpose],
    notBefore: at - 60, expires: at + grantLife, quota, nonce: random(16),
  });
  return { grant, wrap: await wrapSeeds(box, grant, seeds) };
}

// What this browser remembers between visits: which passkey, and the keeper
// set it was made for. Neither opens anything.
const memory = "abaton.passkey";

interface Remembered {
  id: Bytes;
  set: Bytes;
}

function remember(r: Remembered): void {
  localStorage.setItem(memory, JSON.stringify({ id: toBase64url(r.id), set: toBase64url(r.set) }));
}

function remembered(): Remembered | undefined {
  try {
    const r = JSON.parse(localStorage.getItem(memory) ?? "");
    return { id: fromBase64url(r.id), set: fromBase64url(r.set) };
  } catch {
    return undefined;
  }
}

// Session is somebody signed in, for fifteen minutes.
export interface Session {
  clinic: api.Clinic;
  id: Bytes;
  access: string;
  expires: number;
  actor: Bytes;
  credential: Bytes; // WebAuthn id
  kept: api.Kept;
  reply: Bytes;
}

// signIn takes one touch in a browser that knows the passkey, else two: one to
// find out whose it is. With unlock the same touch also opens the record.
export async function signIn(c: api.Clinic, unlock: boolean): Promise<Session> {
  const own = await who(c);
  const { session: s, touched } = await start(c, own.id, own.kept, unlock);
  remember({ id: own.id, set: c.set });
  if (unlock) await lend(s, needPRF(touched));
  return s;
}

// who is whose passkey this browser uses, and what is kept for it.
export async function who(c: api.Clinic): Promise<{ id: Bytes; kept: api.Kept }> {
  checkHere(c);
  const known = remembered();
  if (known && !equal(known.set, c.set)) {
    throw new Told("This is another network", "Your passkey was made for other keepers. Do not go on, and tell your clinic.");
  }
  const id = known?.id ?? (await touch(c, random(32))).id;
  const kept = await api.kept(await keepName(id)).catch((err: unknown) => {
    if (!(err instanceof api.Refused) || err.status !== 404) throw err;
    localStorage.removeItem(memory);
    throw new Told("This passkey is not known here", "If you have another one, try again with it. Else ask your clinic for an invitation.");
  });
  return { id, kept };
}

// At is an enrolled device of the clinic, and in which role somebody sits there.
export interface At {
  role: string;
  device: Bytes;
  posture: Bytes; // the clinic's word about it
  prove(session: Bytes): Promise<Bytes>;
}

// start signs a statement with this passkey.
// at is where a clinician sits and as what; without it a patient signs in.
export async function start(c: api.Clinic, credential: Bytes, kept: api.Kept, unlock: boolean, at?: At): Promise<{ session: Session; touched: Touched }> {
  const o = await api.offer();
  if (!equal(fromName("act1", o.set), c.set) || !equal(fromName("act1", o.organisation), c.organisation)) {
    throw new Told("The clinic's computer contradicts itself", "Nothing was signed. Please tell your clinic.");
  }
  const reply = fromBase64url(o.reply);
  const notBefore = now() - slack;
  const statement = session.marshalStatement({
    v: 1, actor: kept.actor, credential: await nameOf(kept.public), key: fromName("key1", o.session), reply, notBefore,
    expires: notBefore + sessionLife, set: c.set, checkpoints: o.checkpoints.map(utf8), nonce: fromBase64url(o.nonce),
    organisation: at ? c.organisation : zero, role: at?.role ?? "", device: at?.device ?? zero, behalf: zero,
  });
  const id = await session.sessionID(statement);
  const touched = await touch(c, id, credential, unlock);
  const signed = at ? session.marshalSigned(statement, touched.assert(kept.public), await at.prove(id), at.posture)
    : session.marshalSigned(statement, touched.assert(kept.public));
  const seeds = await session.sealSeeds(reply, id, []); // nothing is lent before it is asked for
  const access = await api.complete(o, signed, seeds);
  const s = { clinic: c, id, access: access.access, expires: access.expires, actor: kept.actor, credential, kept, reply };
  return { session: s, touched };
}

// open unlocks in a session that is there already.
export async function open(s: Session): Promise<void> {
  await lend(s, needPRF(await touch(s.clinic, random(32), s.credential, true)));
}

// unlock gives the root's secret, to be erased by who asked, and erases prf.
const unlock = (s: Session, prf: Bytes): Promise<Bytes> => unwrapped(s.credential, s.kept, prf);

async function unwrapped(id: Bytes, kept: api.Kept, prf: Bytes): Promise<Bytes> {
  const secret = await unwrap(prf, id, kept.wrap).catch(() => {
    throw new Told("Your passkey does not open this record", "The key kept for it here was altered or is of another passkey. Please tell your clinic.");
  });
  prf.fill(0);
  return secret;
}

// lend opens the root and seals to the session the seeds of the person's own
// record, every epoch of every line.
async function lend(s: Session, prf: Bytes): Promise<void> {
  const secret = await unlock(s, prf);
  const root = await Root.from(secret);
  secret.fill(0);
  const announced = new Map((await api.me(s.access)).lines.map((l) => [l.line, l]));
  const seeds: Seed[] = [];
  for (const cat of s.clinic.categories) {
    const line = await root.line(cat.id);
    const newest = announced.get(toName("lin1", line));
    for (let epoch = 1; epoch <= (newest?.epoch ?? 0); epoch++) {
      seeds.push({ line, category: cat.id, level: newest!.level, epoch, seed: await root.seed(cat.id, epoch) });
    }
  }
  await api.lend(s.access, await session.sealSeeds(s.reply, s.id, [{ patient: s.actor, grant: zero, seeds }]));
}

export const proof = async (s: Session, challenge: Bytes): Promise<Assertion> =>
  (await touch(s.clinic, challenge, s.credential)).assert(s.kept.public);

// assertion is one touch of a passkey that nobody is signed in with yet.
export const assertion = async (c: api.Clinic, k: { id: Bytes; public: Bytes }, challenge: Bytes): Promise<Assertion> =>
  (await touch(c, challenge, k.id)).assert(k.public);

// recall remembers a passkey that is in force.
export const recall = (id: Bytes, set: Bytes): void => remember({ id, set });

// stepUp signs for exactly these lines, for the person's own request.
export async function stepUp(s: Session, lines: string[]): Promise<void> {
  const u = {
    v: 1, session: s.id, patient: s.actor, lines: lines.map((l) => fromName("lin1", l, 16)), purpose: "PATRQT", time: now(), nonce: random(16),
  };
  await api.stepUp(s.access, session.marshalStepUp(u, await proof(s, await session.stepUpChallenge(u))));
}

// end is where the person's log ends.
async function end(s: Session): Promise<event.Place> {
  const me = await api.me(s.access);
  return { actor: s.actor, seq: me.seq, hash: fromHex(me.head) };
}

// stop takes a grant back, or ends a way back in.
export const stop = async (s: Session, grant: string): Promise<api.Published> =>
  publish(s, event.newRevoke(await end(s), fromName("gra1", grant), now()));

// veto stops somebody who comes back in as this person.
export const veto = async (s: Session, recover: string): Promise<api.Published> =>
  publish(s, event.newVeto(await end(s), fromHex(recover), now()));

const publish = async (s: Session, bytes: Bytes): Promise<api.Published> =>
  api.publish(event.signedBy(bytes, await proof(s, await event.hashOf(bytes))));

// choose makes these people the helpers, any need of whom together open; who
// were helpers before are so no longer, one touch for each time they were chosen.
export async function choose(s: Session, holders: Holder[], need: number): Promise<api.Published> {
  const before = (await api.way(toName("act1", s.actor))).helpers;
  const prf = needPRF(await touch(s.clinic, random(32), s.credential, true));
  const secret = await unlock(s, prf);
  const seed = await (await Root.from(secret)).boxSeed();
  const body = await makeHelpers(s.actor, s.clinic.keepers, holders, need, secret, seed).finally(() => {
    secret.fill(0);
    seed.fill(0);
  });
  const sent = await publish(s, event.newEscrow(await end(s), body, now()));
  if (sent.inForce) for (const old of before) await stop(s, old.id);
  return sent;
}

// openBox gives the seed of this person's box, to be erased by who asked.
export async function openBox(id: Bytes, kept: api.Kept, prf: Bytes): Promise<Bytes> {
  const secret = await unwrapped(id, kept, prf);
  const seed = await (await Root.from(secret)).boxSeed();
  secret.fill(0);
  return seed;
}

export const locked = (me: api.Me): string[] => me.lines.filter((l) => l.level >= lockedLevel).map((l) => l.line);
