// The page /staff: a clinician signs in at a computer of the clinic.
import * as api from "./api.ts";
import { asksPart } from "./askspage.ts";
import { fromBase64url } from "./bytes.ts";
import type { Session } from "./device.ts";
import { button, clock, el, p, say, show, Told } from "./dom.ts";
import * as seats from "./seat.ts";

export async function staffSignInPage(): Promise<void> {
  const link = new URLSearchParams(location.hash.slice(1));
  const name = (link.get("clinic") ?? "").slice(0, 80) || "your clinic";
  const c = await api.clinic();
  const invitation = link.get("i");
  if (invitation) return enrolView(c, name, invitation);
  const seat = await seats.seat();
  if (!seat) {
    show("This computer is not one of your clinic's", p("Staff sign in at the clinic's own computers, each with their own security key."),
      p("Your clinic makes a computer its own with a link that two people sign. Please ask your clinic."));
    return;
  }
  const word = link.get("p");
  if (word) {
    await seats.vouched(seat, read(word));
    history.replaceState(null, "", "/staff");
  }
  signInView(c, seat, word ? "Your clinic vouches for this computer." : "");
}

function enrolView(c: api.Clinic, name: string, invitation: string): void {
  show(`Make this computer one of ${name}`,
    p("Staff can then sign in here, each with their own security key. This computer alone opens nothing."),
    p("Its key is made in this browser and never leaves it. If the computer is lost, the clinic ends it."),
    button("Make it one of ours", async () => {
      say("Making its key.");
      const actor = await seats.enrol(c, read(invitation));
      history.replaceState(null, "", "/staff");
      say("");
      show("This computer is enrolled", p("Your clinic vouches for it by this name, each day:"), el("p", { class: "code", id: "actor" }, actor));
    }));
}

function signInView(c: api.Clinic, seat: seats.Seat, said: string): void {
  const role = el("select", { id: "role" }, el("option", { value: "" }, "Choose"), ...c.roles.map((r) => el("option", { value: r }, r.replace(/^./, (x) => x.toUpperCase()))));
  show("Sign in for work",
    p("You need your security key. There is no password."),
    el("label", { for: "role" }, "I work as"), role,
    button("Sign in with my security key", async () => {
      if (!role.value) throw new Told("Choose what you work as", "Your clinic has taken you on in one role or more.");
      say("Waiting for your security key.");
      const s = await seats.signIn(c, seat, role.value);
      say("");
      signedInView(c, seat, s, role.value);
    }));
  say(said);
}

function signedInView(c: api.Clinic, seat: seats.Seat, s: Session, role: string): void {
  show("You are signed in",
    p(`As ${role}, at this computer, until ${clock(s.expires)}.`),
    p("This page shows no records yet. What you open elsewhere is written down, and its owner sees it."),
    asksPart(s, () => signedInView(c, seat, s, role)),
    button("Sign out", async () => {
      await api.logout(s.access);
      signInView(c, seat, "You are signed out.");
    }, true));
}

function read(text: string): ReturnType<typeof fromBase64url> {
  try {
    return fromBase64url(text);
  } catch {
    throw new Told("This link is not complete", "Please open the whole link, or ask your clinic for a new one.");
  }
}
