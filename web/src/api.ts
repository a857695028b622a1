// What the gateway answers (docs/protocol/gateway.md). It is a relay and a
// lodger of ciphertext here; what it says is checked or shown, never obeyed.
import { fromBase64url, fromHex, fromName, toBase64url, toName, type Bytes } from "./bytes.ts";
import { Told } from "./dom.ts";
import type { Keepers } from "./escrow.ts";

// nameOf is how a person's log is written.
export const nameOf = (actor: Bytes): string => toName("act1", actor);

export interface Category {
  name: string;
  id: Bytes;
  level: number;
}

export interface Clinic {
  set: Bytes;
  organisation: Bytes;
  box: Bytes;
  rpID: string;
  origins: string[];
  categories: Category[];
  keepers: Keepers;
  roles: string[]; // in which people of the clinic may look at records
}

export interface Offer {
  offer: string;
  session: string;
  reply: string;
  nonce: string;
  checkpoints: string[];
  set: string;
  organisation: string;
  expires: number;
}

export interface Access {
  access: string;
  expires: number;
  actor: string;
}

export interface Kept {
  actor: Bytes;
  public: Bytes;
  wrap: Bytes;
}

export interface GrantSeen {
  id: string;
  grantee: string;
  kind: number;
  clinic: boolean;
  actions: number;
  lines: string[];
  purposes: string[];
  expires: number;
}

export interface Me {
  actor: string;
  seq: number;
  head: string;
  lines: { line: string; level: number; epoch: number }[];
  grants: GrantSeen[];
  ways: number; // independent ways in
  kit: boolean;
  helpers: boolean;
  passkeys: string[]; // names, hex
  keys: string[]; // ids, hex
  recoveries: Recovery[];
}

// Recovery is somebody on the way back in.
export interface Recovery {
  event: string; // hash, hex
  by: "kit" | "helpers";
  begun: number;
  wait: number; // seconds
  stopped: boolean;
  done: boolean;
}

export interface Sealed {
  id: string; // gra1...
  escrow: Bytes;
}

export interface Way {
  seq: number;
  head: Bytes;
  kits: Sealed[];
  helpers: Sealed[];
  recoveries: Recovery[];
}

async function call(method: string, path: string, body?: unknown, access?: string): Promise<any> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (access) headers["Authorization"] = `Bearer ${access}`;
  const r = await fetch(path, {
    method, headers, cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer",
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (r.status === 204) return undefined;
  const answer = await r.json();
  if (!r.ok) throw new Refused(r.status, String(answer?.issue?.[0]?.diagnostics ?? ""));
  return answer;
}

// Refused is an answer that says no; its words are fixed texts of the gateway.
export class Refused extends Told {
  readonly status: number;
  constructor(status: number, says: string) {
    super("That was refused", ...(says ? [says[0]!.toUpperCase() + says.slice(1) + "."] : []), "Nothing was changed.");
    this.status = status;
  }
}

export async function clinic(): Promise<Clinic> {
  const c = await call("GET", "/portal/clinic");
  return {
    set: fromName("act1", c.set), organisation: fromName("act1", c.organisation), box: fromBase64url(c.box), rpID: c.rpId,
    origins: c.origins, categories: c.categories.map((x: any) => ({ name: x.name, id: fromHex(x.id), level: x.level })),
    keepers: { boxes: c.keepers.map((x: any) => ({ x: x.x, box: fromBase64url(x.box) })), threshold: c.threshold, wait: c.wait }, roles: c.roles.map(String),
  };
}

// attest turns a clinic's ticket into an invitation for this passkey.
export const attest = async (ticket: Bytes, object: Bytes, clientData: Bytes): Promise<Bytes> =>
  fromBase64url((await call("POST", "/portal/attest", {
    ticket: toBase64url(ticket), attestationObject: toBase64url(object), clientDataJSON: toBase64url(clientData),
  })).invitation);

// boxOf is the box key of somebody a grant is to be given to.
export const boxOf = async (actor: string): Promise<Bytes> => fromBase64url((await call("GET", `/portal/box/${actor}`)).box);

export const enrol = (event: Bytes, credentialID: Bytes, wrap: Bytes): Promise<{ actor: string }> =>
  call("POST", "/portal/enrol", { event: toBase64url(event), credentialId: toBase64url(credentialID), wrap: toBase64url(wrap) });

export async function kept(name: string): Promise<Kept> {
  const k = await call("GET", `/portal/wrap/${name}`);
  return { actor: fromName("act1", k.actor), public: fromBase64url(k.public), wrap: fromBase64url(k.wrap) };
}

export interface Published {
  inForce: boolean;
  at: number; // keepers that have it
  of: number;
}

// enrolDevice brings a device of the clinic into force.
export const enrolDevice = (event: Bytes): Promise<{ actor: string }> => call("POST", "/portal/device", { event: toBase64url(event) });

export const publish = (event: Bytes): Promise<Published> =>
  call("POST", "/portal/events", { event: toBase64url(event) });

export const offer = (): Promise<Offer> => call("POST", "/login/offer", {});

export const complete = (o: Offer, statement: Bytes, seeds: Bytes): Promise<Access> =>
  call("POST", "/login/complete", { offer: o.offer, statement: toBase64url(statement), seeds: toBase64url(seeds) });

export const lend = (access: string, seeds: Bytes): Promise<void> =>
  call("POST", "/login/seeds", { seeds: toBase64url(seeds) }, access);

export const stepUp = (access: string, signed: Bytes): Promise<void> =>
  call("POST", "/portal/step-up", { stepUp: toBase64url(signed) }, access);

export const me = (access: string): Promise<Me> => call("GET", "/portal/me", undefined, access);

// way is what coming back needs of a log.
export async function way(actor: string): Promise<Way> {
  const w = await call("GET", `/portal/way/${actor}`);
  const sealed = (all: any[]): Sealed[] => all.map((k) => ({ id: String(k.id), escrow: fromBase64url(k.escrow) }));
  return { seq: w.seq, head: fromHex(w.head), kits: sealed(w.kits), helpers: sealed(w.helpers), recoveries: w.recoveries };
}

// originOf is the event with which somebody's log began; its hash is the name.
export const originOf = async (actor: string): Promise<Bytes> => fromBase64url((await call("GET", `/portal/helper/${actor}`)).event);

// plead asks for the help of helpers; it is kept under the event's hash.
export const plead = (event: Bytes): Promise<{ plea: string }> => call("POST", "/portal/plea", { event: toBase64url(event) });

export interface Help {
  helper: Bytes;
  proof: Bytes;
  part: Bytes;
}

export async function plea(name: string): Promise<{ event: Bytes; helps: Help[] }> {
  const a = await call("GET", `/portal/plea/${name}`);
  return {
    event: fromBase64url(a.event),
    helps: a.helps.map((h: any) => ({ helper: fromName("act1", h.helper), proof: fromBase64url(h.proof), part: fromBase64url(h.part) })),
  };
}

export const help = (plea: string, h: Help): Promise<void> =>
  call("POST", "/portal/help", { plea, helper: toName("act1", h.helper), proof: toBase64url(h.proof), part: toBase64url(h.part) });

export const unseal = async (access: string, escrow: string): Promise<Bytes> =>
  fromBase64url((await call("POST", "/portal/unseal", { escrow }, access)).half);

export const keepWrap = (access: string, id: Bytes, publicKey: Bytes, wrap: Bytes): Promise<void> =>
  call("POST", "/portal/wrap", { credentialId: toBase64url(id), public: toBase64url(publicKey), wrap: toBase64url(wrap) }, access);

// Held is one patient at whom the keepers hold somebody back.
export interface Held {
  session: string; // hex
  actor: string; // act1...
  patient: string; // act1...
  label: string; // what the clinic calls the patient; empty for its directory
  lines: string[];
  purpose: string;
  touch: boolean; // the own passkey lets go on; else a second clinician
  code: string; // of who is asked; empty: nobody is
  agreed: number; // when a second clinician agreed, in seconds; 0: nobody did
  until: number;
  vain: boolean; // the keepers refused although
}

export const held = (name: string): Promise<Held> => call("GET", `/portal/held/${name}`);

export const heldTouch = (name: string, signed: Bytes): Promise<void> => call("POST", "/portal/held/touch", { held: name, stepUp: toBase64url(signed) });

export const askSecond = (name: string): Promise<Held> => call("POST", "/portal/held/ask", { held: name });

// Ask is a colleague who asks for a second clinician.
export interface Ask {
  ask: string;
  code: string;
  who: string; // as the clinic's directory names the colleague; may be empty
  role: string;
  opener: string; // act1...
  opening: string; // the session, hex
  patient: string; // act1...
  label: string;
  grant: string; // gra1...
  purpose: string;
}

export const asks = async (access: string): Promise<Ask[]> => (await call("GET", "/portal/second", undefined, access)).asks;

export const agree = (access: string, ask: string, signed: Bytes): Promise<void> =>
  call("POST", "/portal/second", { ask, approval: toBase64url(signed) }, access);

export const logout = (access: string): Promise<void> => call("POST", "/logout", undefined, access);

// patients are this person's own Patient resources; everything is the record.
export async function record(access: string, actor: string): Promise<{ entries: { type: string; date: string }[]; withheld: boolean }> {
  const headers = { Accept: "application/fhir+json", Authorization: `Bearer ${access}`, "Abaton-Patient": actor };
  const found = await fetch("/Patient", { headers, cache: "no-store", credentials: "omit" });
  if (!found.ok) throw new Refused(found.status, "");
  const ids: string[] = ((await found.json()).entry ?? []).map((e: any) => String(e.resource?.id ?? ""));
  const entries: { type: string; date: string }[] = [];
  let withheld = (found.headers.get("Warning") ?? "").includes("not shown");
  for (const id of ids.filter((x) => /^[A-Za-z0-9.-]{1,64}$/.test(x))) {
    const all = await fetch(`/Patient/${id}/$everything`, { headers, cache: "no-store", credentials: "omit" });
    if (!all.ok) throw new Refused(all.status, "");
    withheld ||= (all.headers.get("Warning") ?? "").includes("not shown");
    for (const e of (await all.json()).entry ?? []) {
      const r = e.resource ?? {};
      entries.push({ type: String(r.resourceType ?? ""), date: String(r.meta?.lastUpdated ?? "").slice(0, 10) });
    }
  }
  return { entries, withheld };
}
