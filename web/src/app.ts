// The pages: /enrol, /sign-in, /unlock, /recover, /help, /staff and /held.
import * as api from "./api.ts";
import { fromBase64url } from "./bytes.ts";
import * as device from "./device.ts";
import { recoverPage } from "./backpage.ts";
import { heldPage } from "./heldpage.ts";
import { helpPage } from "./helppage.ts";
import { paperView, unkept } from "./paper.ts";
import { staffSignInPage } from "./staffpage.ts";
import { alarms, waysView } from "./wayspage.ts";
import { button, clock, day, el, explain, p, say, show, Told } from "./dom.ts";

const purposes: Record<string, string> = {
  TREAT: "treatment", ETREAT: "emergency", PATRQT: "your own request", HOPERAT: "running the clinic", HRESCH: "research",
  HPAYMT: "payment", PUBHLTH: "public health", COVERAGE: "insurance",
};

const kinds: Record<number, string> = { 1: "Another person", 2: "A clinician", 3: "A clinic", 4: "A device", 5: "An app" };

async function enrolPage(): Promise<void> {
  const link = new URLSearchParams(location.hash.slice(1));
  const invitation = link.get("i");
  const ticket = link.get("t");
  if (ticket) return staffPage(ticket, (link.get("clinic") ?? "").slice(0, 80) || "your clinic");
  if (!invitation) {
    show("You need an invitation", p("Your clinic gives you one as a link or as a code to scan. It works once."),
      p(el("a", { href: "/sign-in" }, "I have a passkey already")));
    return;
  }
  const c = await api.clinic();
  const name = (link.get("clinic") ?? "").slice(0, 80) || "Your clinic";
  const reader = link.get("to");
  const writes = choice(`${name} may add to my record`, "Without this, your record stays empty.");
  const reads = reader ? choice(`${(link.get("name") ?? "").slice(0, 80) || "Your clinician"} may read my record for one year, but not the locked parts`, "You can stop this at any time.") : undefined;
  show("Make the key to your health record",
    p("Your record is locked with a passkey that only you have: your finger, your face or the code of your device. There is no password."),
    p("Your device will ask twice: once to make the passkey, and once to sign. In your list of passkeys it is called ", el("b", {}, "Abaton: opens your health record"), "."),
    el("h2", {}, "What you allow now"), writes.row, reads?.row,
    p("Then you print a kit: a page that brings you back in if you lose this device. Before that, no record is stored."),
    button("Make my passkey", async () => {
      say("Waiting for your device. It asks twice.");
      const { actor, kit } = await device.enrol(c, {
        invitation: read(invitation), clinicWrites: writes.yes(), ...(reader && reads?.yes() ? { reader } : {}),
      });
      history.replaceState(null, "", "/enrol"); // the invitation is used
      say("");
      const ready = async (title: string, first: HTMLElement): Promise<void> => show(title, first,
        p("Your clinic finds your record by this name, which opens nothing:"),
        el("p", { class: "code", id: "actor" }, actor),
        p(el("a", { href: "/sign-in" }, "See who can see my record")));
      paperView(kit, () => ready("Your record is ready", p("Only you can open it. Your passkey is one way in, your paper the other.")),
        () => ready("Your key is made", unkept()));
    }));
}

async function staffPage(ticket: string, name: string): Promise<void> {
  const c = await api.clinic();
  show(`Join the staff of ${name}`,
    p("You sign in with a security key that stays with you. There is no password, and nobody else can sign in as you."),
    p("Your key will ask twice. The clinic checks first whether it is one that it takes."),
    button("Make my passkey", async () => {
      say("Waiting for your security key. It asks twice.");
      const actor = await device.enrolStaff(c, read(ticket));
      history.replaceState(null, "", "/enrol");
      say("");
      show("You are enrolled", p("Your clinic finds you by this name:"), el("p", { class: "code", id: "actor" }, actor));
    }));
}

function read(invitation: string): ReturnType<typeof fromBase64url> {
  try {
    return fromBase64url(invitation);
  } catch {
    throw new Told("This invitation is not complete", "Please open the whole link, or ask your clinic for a new one.");
  }
}

// choice is a box that nobody ticks for the person.
function choice(label: string, hint: string): { row: HTMLElement; yes: () => boolean } {
  const box = el("input", { type: "checkbox" });
  return { row: el("label", { class: "choice" }, box, el("span", {}, el("b", {}, label), ". ", hint)), yes: () => box.checked };
}

async function signInPage(unlock: boolean): Promise<void> {
  const c = await api.clinic();
  const title = unlock ? "Open my record" : "Sign in";
  show(title,
    p(unlock ? "One touch signs you in and opens your record here, for fifteen minutes." : "One touch of your passkey signs you in for fifteen minutes. There is no password."),
    button(unlock ? "Open with my passkey" : "Sign in with my passkey", async () => {
      say("Waiting for your device.");
      const s = await device.signIn(c, unlock);
      say("");
      await (unlock ? recordView(s) : whoView(s));
    }),
    p(unlock ? el("a", { href: "/sign-in" }, "Only see who can see my record") : el("a", { href: "/unlock" }, "Sign in and open my record at once")),
    p(el("a", { href: "/recover" }, "I lost my device")));
}

const footer = (s: device.Session): HTMLElement =>
  el("p", {}, `You are signed in until ${clock(s.expires)}. `, button("Sign out", async () => {
    await api.logout(s.access);
    show("You are signed out", p("Nothing of your record is left in this browser."), p(el("a", { href: "/sign-in" }, "Sign in again")));
  }, true));

async function whoView(s: device.Session, said?: string): Promise<void> {
  const me = await api.me(s.access);
  const cards = me.grants.map((g) => grantCard(s, me, g));
  show("Who can see my record",
    ...alarms(s, me, (text) => whoView(s, text)),
    ...secondWay(s, me),
    cards.length > 0 ? el("ul", { class: "cards" }, ...cards) : p("Nobody but you."),
    p(me.grants.length > 0 ? "Nobody else. What is stopped is stopped everywhere." : "Nobody can add to it either."),
    el("h2", {}, "My record"), button("Open my record", async () => {
      say("Waiting for your device.");
      await device.open(s);
      await recordView(s);
    }),
    el("h2", {}, "Recovery"), button("Recovery and helpers", () => waysView(s, (text) => whoView(s, text)), true), footer(s));
  say(said ?? "");
}

// secondWay offers a kit where there is none.
function secondWay(s: device.Session, me: api.Me): HTMLElement[] {
  if (me.kit) return [];
  const again = async (): Promise<void> => whoView(s);
  return [me.ways < 2 ? unkept() : p("You have no kit on paper."), button("Make my kit", async () => {
    say("Waiting for your device.");
    const kit = await device.kit(s);
    say("");
    paperView(kit, () => whoView(s, "Your kit is in force."), again);
  }, me.ways >= 2)];
}

function grantCard(s: device.Session, me: api.Me, g: api.GrantSeen): HTMLElement {
  const levels = new Map(me.lines.map((l) => [l.line, l.level]));
  const lockedToo = g.lines.some((l) => (levels.get(l) ?? 3) >= 3);
  const unlocked = me.lines.filter((l) => l.level < 3).length;
  const parts = g.lines.length === me.lines.length ? "everything, the locked parts too"
    : !lockedToo && g.lines.length === unlocked ? "all but the locked parts"
    : `${g.lines.length} of ${me.lines.length} parts, ${lockedToo ? "locked ones too" : "no locked one"}`;
  const what = [g.actions & 1 ? `Read ${parts}` : "", g.actions & 2 ? `Add new entries, without reading any (${g.lines.length} of ${me.lines.length} parts)` : ""].filter(Boolean).join(". ");
  const who = g.clinic ? "This clinic" : (kinds[g.kind] ?? "Somebody");
  const stop = button("Stop access", async () => {
    say("Waiting for your device.");
    const done = await device.stop(s, g.id);
    await whoView(s, done.inForce ? `Stopped. ${done.at} of ${done.of} keepers refuse it from now on${done.at < done.of ? ", the others follow" : ""}.` : `${done.at} of ${done.of} keepers know. The others will follow.`);
  }, true);
  stop.setAttribute("aria-label", `Stop access: ${who}, ${what}`);
  return el("li", { "data-grant": g.id }, el("h2", {}, who),
    el("dl", {}, el("dt", {}, "What"), el("dd", {}, what), el("dt", {}, "Until"), el("dd", {}, day(g.expires)),
      el("dt", {}, "Why"), el("dd", {}, g.purposes.map((x) => purposes[x] ?? x).join(", ")),
      el("dt", {}, "Name"), el("dd", { class: "code" }, `${g.grantee.slice(0, 12)}…`)), stop);
}

async function recordView(s: device.Session): Promise<void> {
  say("Opening. Three keepers note it first.");
  const me = await api.me(s.access);
  const found = await api.record(s.access, me.actor).catch((err: unknown) => {
    if (err instanceof api.Refused && (err.status === 404 || err.status === 403)) return { entries: [], withheld: err.status === 403 };
    throw err;
  });
  const counts = new Map<string, number>();
  for (const e of found.entries) counts.set(e.type, (counts.get(e.type) ?? 0) + 1);
  const rows = [...counts].sort((a, b) => a[0].localeCompare(b[0])).map(([type, n]) => el("li", {}, `${words(type)}: ${n}`));
  const locked = device.locked(me);
  show("My record",
    p(found.entries.length === 0 ? "There is nothing in it yet, or nothing that is not locked." : `${found.entries.length} entries are open here.`),
    rows.length > 0 ? el("ul", { id: "entries" }, ...rows) : undefined,
    found.withheld && locked.length > 0
      ? el("div", {}, el("h2", {}, "Locked parts"),
        p(`${locked.length === 1 ? "One part is" : `${locked.length} parts are`} locked and not shown: psychotherapy notes. They open for five minutes, after one more touch, for your own request only.`),
        button("Open the locked parts", async () => {
          say("Waiting for your device.");
          await device.stepUp(s, locked);
          await recordView(s);
        }))
      : undefined,
    el("h2", {}, "Access"), button("Who can see my record", () => whoView(s), true), footer(s));
  say("");
}

// words splits a FHIR type: "AllergyIntolerance" is "Allergy intolerance".
const words = (type: string): string => type.replace(/(?!^)([A-Z])/g, " $1").toLowerCase().replace(/^./, (c) => c.toUpperCase());

const pages: Record<string, () => Promise<void>> = {
  "/enrol": enrolPage,
  "/sign-in": () => signInPage(false),
  "/unlock": () => signInPage(true),
  "/recover": () => recoverPage(whoView),
  "/help": helpPage,
  "/staff": staffSignInPage,
  "/held": heldPage,
};

pages[location.pathname]?.().catch((err: unknown) => {
  show("This page could not be loaded", p("Please try again in a moment."));
  explain(err);
});
