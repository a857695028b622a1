// Coming back with a kit, on a new device (docs/protocol/recovery.md): begin
// tells the keepers, finish opens once they have waited. The words are typed
// twice and kept nowhere; half A never leaves this page. What kits and helpers
// (helped.ts) have in common is comeIn.
import * as api from "./api.ts";
import { nameOf } from "./assertion.ts";
import { publicOf } from "./box.ts";
import { equal, fromHex, fromName, random, toBase64url, toName, type Bytes } from "./bytes.ts";
import * as device from "./device.ts";
import { Told } from "./dom.ts";
import { halfOf, openEscrow, parseKit, proverOf, type Escrow } from "./escrow.ts";
import * as event from "./event.ts";
import { checkHere, create, forget, keepName, needPRF } from "./passkey.ts";
import { abandon, remember, type Pending } from "./pending.ts";
import { wrap } from "./root.ts";

const none = new Uint8Array(0);
const now = (): number => Math.floor(Date.now() / 1000);

async function codeOf(words: string): Promise<Bytes> {
  const { parseWords } = await import("./words.ts");
  const code = await parseWords(words.trim().split(/[\s,]+/));
  if (!code) throw new Told("These are not the words of a kit", "Please type all twelve as they stand on the paper, with a space between them.");
  return code;
}

// kitOf is the live kit of this code.
async function kitOf(way: api.Way, actor: Bytes, code: Bytes): Promise<{ id: string; escrow: Escrow }> {
  const seed = await proverOf(code, actor);
  const prover = (await event.signingKey(seed)).id;
  seed.fill(0);
  for (const k of way.kits) {
    const escrow = parseKit(k.escrow);
    if (equal(escrow.provers[0]!.key, prover)) return { id: k.id, escrow };
  }
  throw new Told("No kit of this record has these words", "Perhaps a newer kit was made since: then only that one works. Or the record's name is of another paper.");
}

// recordName reads what stands on the paper, or what the clinic says.
export function recordName(text: string): Bytes {
  try {
    return fromName("act1", text.trim());
  } catch {
    throw new Told("This is not the name of a record", "It begins with act1 and stands on your kit. Your clinic knows it too.");
  }
}

// begin makes the new passkey and tells the keepers: from here they wait.
export async function begin(c: api.Clinic, name: string, words: string): Promise<api.Published> {
  checkHere(c);
  const code = await codeOf(words);
  const actor = recordName(name);
  const way = await api.way(toName("act1", actor));
  const kit = await kitOf(way, actor, code);
  const passkey = await create(c);
  const seed = random(32); // helpers would seal to it; a kit has none
  const body = { escrow: fromName("gra1", kit.id), credential: { public: passkey.public, class: passkey.class }, box: await publicOf(seed), nonce: random(16) };
  seed.fill(0);
  const prover = await proverOf(code, actor);
  code.fill(0);
  try {
    const bytes = event.newRecover({ actor, seq: way.seq, hash: way.head }, body, now());
    const told = await api.publish(await event.signedByKey(bytes, prover));
    remember({
      id: passkey.id, public: passkey.public, class: passkey.class, actor, escrow: kit.id, recover: await event.hashOf(bytes),
      told: now(), wait: Math.max(kit.escrow.delay, c.keepers.wait), entry: none, in: false,
    });
    return told;
  } catch (err) {
    if (err instanceof api.Refused) await forget(c, toBase64url(passkey.id));
    throw err;
  } finally {
    prover.fill(0);
  }
}

// Back is somebody who is in again.
export interface Back {
  session: device.Session;
  kit: device.Kit; // the new one; the old one and the old devices end with it
  end(): Promise<number>; // how many old ways in were ended
}

// finish comes back with the kit's words.
export async function finish(c: api.Clinic, r: Pending, words: string): Promise<Back> {
  const code = await codeOf(words);
  const kit = await kitOf(await api.way(toName("act1", r.actor)), r.actor, code);
  if (kit.id !== r.escrow) throw new Told("This is another kit", "Please use the paper you began with.");
  return comeIn(c, r, kit.escrow, () => halfOf(code, r.actor)).finally(() => code.fill(0));
}

// comeIn adds the passkey, asks the keepers for half B, opens the escrow with
// half A and puts the root under the new passkey. It may be called again until
// it succeeds.
export async function comeIn(c: api.Clinic, r: Pending, e: Escrow, halfA: (prf: Bytes) => Promise<Bytes>): Promise<Back> {
  checkHere(c);
  if (!r.in) await enter(c, r);
  const { session, touched } = await device.start(c, r.id, { actor: r.actor, public: r.public, wrap: none }, true);
  const prf = needPRF(touched);
  const half = await halfA(prf);
  const b = await api.unseal(session.access, r.escrow);
  const payload = await openEscrow(r.actor, e, half, b);
  half.fill(0);
  b.fill(0);
  if (payload?.root.length !== 32) throw new Told("This does not open the record", "The keepers gave their part, and it does not fit. Please tell your clinic.");
  try {
    session.kept.wrap = await wrap(prf, r.id, payload.root);
    await api.keepWrap(session.access, r.id, r.public, session.kept.wrap).catch(async (err: unknown) => {
      const before = err instanceof api.Refused && err.status === 409 ? await api.kept(await keepName(r.id)) : undefined;
      if (!before) throw err; // an earlier try kept one
      session.kept.wrap = before.wrap;
    });
    device.recall(r.id, c.set);
    const made = await device.newKit(c, await place(r.actor), payload.root, (challenge) => device.proof(session, challenge));
    return { session, kit: made, end: () => end(session, made.id) };
  } finally {
    payload.root.fill(0);
    payload.box.fill(0);
    prf.fill(0);
  }
}

// enter adds the new passkey to the log. An event that some keepers voted for
// holds its place there: the same one is sent again.
async function enter(c: api.Clinic, r: Pending): Promise<void> {
  if (r.entry.length === 0) {
    const bytes = event.newCredential(await place(r.actor), { public: r.public, class: r.class }, now());
    r.entry = event.signedBy(bytes, await device.assertion(c, r, await event.hashOf(bytes)));
    remember(r); // before it is sent: too early at most keepers, it may have votes of some
  }
  const sent = await api.publish(r.entry).catch((err: unknown) => {
    const early = err instanceof api.Refused && err.status === 409 && err.lines.some((l) => l.includes("wait is not over"));
    if (!early && err instanceof api.Refused && err.status < 500) remember({ ...r, entry: none });
    throw early ? new Told("It is too early", ...err.lines) : err;
  });
  r.in = sent.inForce;
  remember(r);
  if (!r.in) throw new Told("Too few keepers let the new passkey in yet", `${sent.at} of ${sent.of} have. Try again in a moment.`);
}

async function place(actor: Bytes): Promise<event.Place> {
  const way = await api.way(toName("act1", actor));
  return { actor, seq: way.seq, hash: way.head };
}

// end removes every passkey and key but this one, and every kit but the new
// one; it says how many passkeys and keys.
async function end(s: device.Session, kit: string): Promise<number> {
  const own = await nameOf(s.kept.public);
  const me = await api.me(s.access);
  const send = async (bytes: Bytes): Promise<void> => {
    const sent = await api.publish(event.signedBy(bytes, await device.proof(s, await event.hashOf(bytes))));
    if (!sent.inForce) throw new Told("Too few keepers know yet", `${sent.at} of ${sent.of} keepers refuse the old device. Try again in a moment.`);
  };
  const passkeys = me.passkeys.map(fromHex).filter((name) => !equal(name, own));
  for (const name of passkeys) await send(event.newRemoval(await place(s.actor), "passkey", name, now()));
  for (const id of me.keys) await send(event.newRemoval(await place(s.actor), "key", fromHex(id), now()));
  for (const old of (await api.way(toName("act1", s.actor))).kits) {
    if (old.id !== kit) await send(event.newRevoke(await place(s.actor), fromName("gra1", old.id), now()));
  }
  abandon();
  return passkeys.length + me.keys.length;
}
