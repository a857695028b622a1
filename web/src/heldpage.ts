// The page /held: a clinician whom the keepers hold back at one patient goes on,
// with the own passkey or with a colleague.
import * as api from "./api.ts";
import { button, clock, el, p, say, show } from "./dom.ts";
import * as second from "./second.ts";

const purposes: Record<string, string> = { TREAT: "treatment", ETREAT: "an emergency", HOPERAT: "running the clinic" };
const every = 2000; // milliseconds between looks while somebody waits

export async function heldPage(): Promise<void> {
  addEventListener("hashchange", () => location.reload(), { once: true }); // another page of this kind in the same tab
  const name = location.hash.slice(1);
  if (!/^[0-9a-f]{32}$/.test(name)) return over();
  const c = await api.clinic();
  const h = await look(name);
  if (!h) return over();
  if (h.touch) touchView(c, name, h);
  else secondView(name, h);
}

const look = (name: string): Promise<api.Held | undefined> => api.held(name).catch((err: unknown) => {
  if (err instanceof api.Refused && err.status === 404) return undefined;
  throw err;
});

function over(): void {
  show("This page is over", p("Please try again in your program. If it is held back again, it shows a new page."));
}

const about = (h: { label: string; purpose: string }): HTMLElement => el("dl", {},
  el("dt", {}, "Patient"), el("dd", {}, h.label ? el("span", { class: "code" }, h.label) : "None: the clinic's own directory"),
  el("dt", {}, "Why"), el("dd", {}, purposes[h.purpose] ?? h.purpose));

const notMe = (): HTMLElement => p("Was this not you? Do nothing here, and call your security officer now.");

function touchView(c: api.Clinic, name: string, h: api.Held): void {
  show("Is it you?", p("The keepers of the records want one more touch of your passkey before this patient opens."), about(h),
    p("The touch is for this patient and this work, and serves for five minutes."),
    button("Touch my passkey", async () => {
      say("Waiting for your passkey.");
      await second.touch(c, name, h);
      say("");
      show("Go back to your program", p("Try again there. This patient opens now."), p("You can close this page."));
    }), notMe());
}

function secondView(name: string, h: api.Held): void {
  if (h.vain) return vainView(name, h);
  if (h.agreed) return agreedView(name, h);
  if (h.code) return askedView(name, h);
  show("You are held back", p("The keepers of the records saw something unusual under your name. They open no records for you alone."),
    p(el("b", {}, "Your patients are still cared for."), " A second clinician can agree that you open one of them."), about(h),
    button("Ask a second clinician", () => ask(name)),
    el("h2", {}, "If nobody is there"), p("Is a life in danger? Open the record as an emergency, with a colleague."), notMe());
}

async function ask(name: string): Promise<void> {
  askedView(name, await api.askSecond(name));
}

function askedView(name: string, h: api.Held): void {
  const number = el("p", { class: "said", id: "code" }, second.spaced(h.code));
  show("Ask a colleague to agree", p(el("b", {}, "Go to a colleague of your team, or call."), " Say which patient it is, and this number:"), number, about(h),
    p("Your colleague signs in for work at another computer, and finds you there."), p("Keep this page open. It tells you when your colleague has agreed."), notMe());
  void wait(name, number);
}

// wait looks until a colleague has agreed, or the page shows something else.
async function wait(name: string, shown: HTMLElement): Promise<void> {
  while (shown.isConnected) {
    await new Promise((go) => setTimeout(go, every));
    const h = await look(name).catch(() => null); // no answer: looked again
    if (h === null || !shown.isConnected) continue;
    if (!h) return over();
    if (h.agreed) return agreedView(name, h);
  }
}

function agreedView(name: string, h: api.Held): void {
  show("Your colleague agreed", p(el("b", {}, `Go back to your program and try again. This patient opens until ${clock(h.until)}.`)), about(h),
    p("It is five minutes, so that a thief in your place gains little. After that, ask again."),
    p("Your name and your colleague's stand in the patient's history."),
    button("Ask again", () => ask(name), true));
}

function vainView(name: string, h: api.Held): void {
  show("The keepers still refuse", p("A colleague agreed, and it did not help. There are two reasons for this:"),
    el("ul", {}, el("li", {}, "The keepers know of no visit, stay or referral that brings you to this patient."), el("li", {}, "Your colleague is held back too, or sits at your computer.")),
    about(h), p("Write the visit or the stay first, or have it written. Or ask another colleague."),
    button("Ask another colleague", () => ask(name)), notMe());
}
