// What a clinician's browser signs while keepers hold somebody back: the own
// touch, or that a colleague goes on (PROTOCOL.md#step-up, #approval).
import * as api from "./api.ts";
import { equal, fromHex, fromName, random } from "./bytes.ts";
import * as device from "./device.ts";
import { Told } from "./dom.ts";
import * as session from "./session.ts";

const RIGHT = 1;
const now = (): number => Math.floor(Date.now() / 1000);

// spaced is a code as people read it to each other.
export const spaced = (code: string): string => code.replace(/^(\d{3})(?=\d)/, "$1 ");

// touch signs for exactly this session, patient, lines and purpose.
export async function touch(c: api.Clinic, name: string, h: api.Held): Promise<void> {
  const own = await device.who(c);
  if (!equal(own.kept.actor, fromName("act1", h.actor))) {
    throw new Told("That is somebody else's passkey", "Please use the one that you signed in with for your work.");
  }
  const u = {
    v: 1, session: fromHex(h.session), patient: fromName("act1", h.patient), lines: h.lines.map((l) => fromName("lin1", l, 16)),
    purpose: h.purpose, time: now(), nonce: random(16),
  };
  const challenge = await session.stepUpChallenge(u);
  await api.heldTouch(name, session.marshalStepUp(u, await device.assertion(c, { id: own.id, public: own.kept.public }, challenge)));
}

// agree signs that one session of a colleague's reads one patient under one
// grant. Keepers judge who may.
export async function agree(s: device.Session, a: api.Ask): Promise<void> {
  const say = {
    v: 1, session: s.id, patient: fromName("act1", a.patient), escrow: fromName("gra1", a.grant), opener: fromName("act1", a.opener),
    opening: fromHex(a.opening), verdict: RIGHT, time: now(), nonce: random(16),
  };
  await api.agree(s.access, a.ask, session.marshalApproval(say, await device.proof(s, await session.approvalChallenge(say))));
}
