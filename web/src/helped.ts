// Coming back with helpers, on a new device (docs/protocol/recovery.md): ask
// makes a recover event that helpers prove, tell tells the keepers once enough
// helped, finish opens once they have waited.
import * as api from "./api.ts";
import { assertionForm } from "./assertion.ts";
import { comeIn, recordName, type Back } from "./back.ts";
import { publicOf } from "./box.ts";
import { equal, fromName, random, toBase64url, toHex, toName, type Bytes } from "./bytes.ts";
import * as device from "./device.ts";
import { Told } from "./dom.ts";
import { parseHelpers, type Escrow } from "./escrow.ts";
import * as event from "./event.ts";
import * as form from "./form.ts";
import { halfOf, help, helperAt, sameWords, wordsFor } from "./helpers.ts";
import { checkHere, create, forget, needPRF, touch } from "./passkey.ts";
import { remember, type Helped, type Pending } from "./pending.ts";
import { unwrap, wrap } from "./root.ts";

const now = (): number => Math.floor(Date.now() / 1000);
const noHelpers = (): Told => new Told("This record has no helpers", "Perhaps they were never chosen, or other ones were since. Come back with your kit.");

// Asked is a record's owner who asks helpers.
export type Asked = Pending & { helped: Helped };

// escrowOf is the helpers' escrow by which r comes back.
export async function escrowOf(r: Pending): Promise<Escrow> {
  const found = (await api.way(toName("act1", r.actor))).helpers.find((h) => h.id === r.escrow);
  if (!found) throw noHelpers();
  return parseHelpers(found.escrow);
}

// ask makes the new passkey and the event. One touch makes the passkey, one
// locks the box for what helpers give.
export async function ask(c: api.Clinic, record: string, name: string): Promise<Asked> {
  checkHere(c);
  const actor = recordName(record);
  const way = await api.way(toName("act1", actor));
  const last = way.helpers[way.helpers.length - 1];
  if (!last) throw noHelpers();
  const e = parseHelpers(last.escrow);
  const passkey = await create(c);
  const seed = random(32);
  try {
    const prf = needPRF(await touch(c, random(32), passkey.id, true));
    const box = await wrap(prf, passkey.id, seed);
    prf.fill(0);
    const body = { escrow: fromName("gra1", last.id), credential: { public: passkey.public, class: passkey.class }, box: await publicOf(seed), nonce: random(16) };
    const bytes = event.newRecover({ actor, seq: way.seq, hash: way.head }, body, now());
    const r = {
      id: passkey.id, public: passkey.public, class: passkey.class, actor, escrow: last.id, recover: await event.hashOf(bytes), told: 0,
      wait: Math.max(e.delay, c.keepers.wait), entry: new Uint8Array(0), in: false, helped: { event: bytes, box, name, helps: [], liars: [] },
    };
    await api.plead(bytes);
    remember(r);
    return r;
  } catch (err) {
    await forget(c, toBase64url(passkey.id));
    throw err;
  } finally {
    seed.fill(0);
  }
}

// helps are the answers so far. Where the clinic's computer knows nothing of it
// any more, it is asked again.
export async function helps(r: Asked): Promise<api.Help[]> {
  if (r.told > 0) return r.helped.helps;
  try {
    return (await api.plea(toHex(r.recover))).helps;
  } catch (err) {
    if (!(err instanceof api.Refused) || err.status !== 404) throw err;
    await api.plead(r.helped.event);
    return [];
  }
}

async function open(r: Asked, e: Escrow, prf: Bytes, given: api.Help[]): ReturnType<typeof halfOf> {
  const seed = await unwrap(prf, r.id, r.helped.box).catch(() => {
    throw new Told("This passkey does not go on with this", "Please use the one that was made when you began. Or give up and begin anew.");
  });
  return halfOf(r.actor, e, r.recover, seed, given).finally(() => seed.fill(0));
}

// helperCalled is what the owner's list says of a helper, but for the name.
export const helperCalled = (e: Escrow, x: number): string => `helper ${x} (${endOf(toName("act1", e.wraps[x - 1]!.holder))})`;

// endOf is what people compare of a record's name.
export const endOf = (actor: string): string => actor.slice(-6);

// tell looks at every part, names the false ones, and tells the keepers if
// enough are good: from here they wait.
export async function tell(c: api.Clinic, r: Asked): Promise<api.Published> {
  const e = await escrowOf(r);
  const given = (await helps(r)).filter((h) => helperAt(e, h.helper) > 0);
  const prf = needPRF(await touch(c, random(32), r.id, true));
  const found = await open(r, e, prf, given);
  prf.fill(0);
  r.helped.liars = found.liars;
  if (!found.half) {
    remember(r);
    const named = found.liars.map((x) => `What ${helperCalled(e, x)} gave is not the part you gave them. It was not used.`);
    const missing = e.need - found.good.length;
    throw new Told(named.length > 0 ? "One helper gave a wrong part" : "Not enough helpers yet", ...named, `Ask ${missing === 1 ? "one more helper" : `${missing} more helpers`}.`);
  }
  found.half.fill(0);
  const sent = await api.publish(event.signedByAll(r.helped.event, given.map((h) => h.proof)));
  r.helped.helps = given;
  r.told = now();
  remember(r);
  return sent;
}

// finish comes back with what the helpers gave.
export async function finish(c: api.Clinic, r: Asked): Promise<Back> {
  const e = await escrowOf(r);
  return comeIn(c, r, e, async (prf) => {
    const { half } = await open(r, e, prf, r.helped.helps);
    if (!half) throw new Told("The helpers' parts do not fit", "Please give up and begin anew, and tell your clinic.");
    return half;
  });
}

// stopped reports whether somebody stopped this recovery.
export async function stopped(r: Pending): Promise<boolean> {
  const name = toHex(r.recover);
  return (await api.way(toName("act1", r.actor))).recoveries.some((one) => one.event === name && one.stopped);
}

// Of a helper's own page.

// Plea is what a helper is asked.
export interface Plea {
  name: string; // hash of the event, hex
  recover: Bytes;
  actor: Bytes;
  box: Bytes;
  escrow: Escrow;
}

// readPlea reads a plea by its name; what the clinic's computer gives has to
// have that hash.
export async function readPlea(name: string): Promise<Plea> {
  const { event: bytes } = await api.plea(name);
  const recover = await event.hashOf(bytes);
  const to = event.readRecover(bytes);
  const id = toName("gra1", to.escrow);
  const found = (await api.way(toName("act1", to.actor))).helpers.find((h) => h.id === id);
  if (toHex(recover) !== name || !found) throw new Told("This link does not hold any more", "Ask the person for a new one.");
  return { name, recover, actor: to.actor, box: to.box, escrow: parseHelpers(found.escrow) };
}

// boxOf is somebody's box, taken from the event that the name is the hash of.
export async function boxOf(actor: string): Promise<{ id: Bytes; box: Bytes }> {
  const id = fromName("act1", actor);
  const origin = await api.originOf(actor);
  if (!equal(await event.actorOf(origin), id)) throw new Told("The clinic's computer gave another person", "Nothing was done. Please tell your clinic.");
  return { id, box: event.readOrigin(origin).box };
}

// give is what a helper's device does once its owner typed what the person read
// out: it proves the event and seals the helper's part to the new device. It
// says which helper this is.
export async function give(c: api.Clinic, p: Plea, heard: string): Promise<number> {
  if (!sameWords(await wordsFor(p.recover), heard)) {
    throw new Told("These are not the same words", "Something is wrong: somebody else may be asking. Nothing was given.", "Call the person, on the number you know. If they did not ask, tell their clinic.");
  }
  const own = await device.who(c);
  const x = helperAt(p.escrow, own.kept.actor);
  if (x === 0) throw new Told("You are not a helper of this record", "Nothing was given. Perhaps you have another passkey.");
  const touched = await touch(c, p.recover, own.id, true);
  const seed = await device.openBox(own.id, own.kept, needPRF(touched));
  const part = await help(p.actor, p.escrow, x, seed, p.recover, p.box).finally(() => seed.fill(0));
  if (!part) throw new Told("Your part does not open", "It was made for another key. Nothing was given. Tell the person, so that they ask another helper.");
  await api.help(p.name, { helper: own.kept.actor, proof: form.marshal(assertionForm, touched.assert(own.kept.public)), part });
  return x;
}
