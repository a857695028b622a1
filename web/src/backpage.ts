// The page /recover: a kit or helpers bring the owner of a record back.
import * as api from "./api.ts";
import { begin, finish, type Back } from "./back.ts";
import { toHex } from "./bytes.ts";
import type { Session } from "./device.ts";
import { button, el, p, say, show } from "./dom.ts";
import type { Escrow } from "./escrow.ts";
import * as helped from "./helped.ts";
import { helperAt, wordsFor } from "./helpers.ts";
import { paperView, span } from "./paper.ts";
import { abandon, pending, type Pending } from "./pending.ts";
import { countdown, every } from "./wait.ts";

type Opened = (s: Session, said: string) => Promise<void>;

const pollEvery = 3000; // ms

const isAsked = (r: Pending): r is helped.Asked => r.helped !== undefined;

export async function recoverPage(opened: Opened): Promise<void> {
  const c = await api.clinic();
  const r = pending();
  if (!r) return choiceView(c, opened);
  if (isAsked(r) && r.told === 0) return askedView(c, r, opened);
  return waitingView(c, r, opened);
}

function choiceView(c: api.Clinic, opened: Opened): void {
  show("Come back to your record",
    p("You lost your device. Two things can bring you back."),
    p(`Both take ${span(c.keepers.wait)}. Any device of yours that is still alive is told, and can stop it.`),
    el("div", { class: "choices" },
      button("I have my kit", async () => kitView(c, opened)), button("My helpers bring me back", async () => askView(c, opened))),
    p(el("a", { href: "/sign-in" }, "I have a device that works: sign in")),
    el("h2", {}, "You have neither?"),
    p("Without your kit, helpers or device we cannot open your old record. That is how it stays private."),
    p("Your clinics keep their own notes by law. Ask your clinic how to start a new record."));
}

function lineBox(id: string, label: string, props: Record<string, string> = {}): { rows: HTMLElement[]; text: () => string } {
  const box = el("input", { type: "text", id, autocomplete: "off", autocapitalize: "none", spellcheck: "false", ...props });
  return { rows: [el("label", { for: id }, label), box], text: () => box.value };
}

const recordBox = (): ReturnType<typeof lineBox> => lineBox("name", "The record's name (it begins with act1)");

function wordsBox(): { rows: HTMLElement[]; text: () => string } {
  const box = el("textarea", { id: "words", rows: "4", autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  return { rows: [el("label", { for: "words" }, "The twelve words"), box], text: () => box.value };
}

const known = (told: api.Published, wait: number): string => `${told.at} of ${told.of} keepers know. They wait ${span(wait)}.`;

function kitView(c: api.Clinic, opened: Opened): void {
  const name = recordBox();
  const words = wordsBox();
  show("Come back with your kit",
    p("You need the paper that you printed. This device gets a new passkey, and your old devices are shut out."),
    p(`It opens after ${span(c.keepers.wait)}. Any device of yours that is still alive is told, and can stop it.`),
    ...name.rows, ...words.rows,
    button("Begin", async () => {
      say("Waiting for your device.");
      const told = await begin(c, name.text(), words.text());
      waitingView(c, pending()!, opened, known(told, pending()!.wait));
    }),
    button("Go back", async () => choiceView(c, opened), true));
}

function askView(c: api.Clinic, opened: Opened): void {
  const record = recordBox();
  const name = lineBox("own", "Your name, as your helpers know you", { maxlength: "60" });
  show("Come back with your helpers",
    p("You call the people you chose. When enough of them helped, the wait begins."),
    p("This device gets a new passkey. Your device asks twice."),
    p("The record's name stands on your kit and on the list of your helpers. Your clinic knows it too."),
    ...record.rows, ...name.rows,
    button("Ask my helpers", async () => {
      say("Waiting for your device. It asks twice.");
      const r = await helped.ask(c, record.text(), name.text().trim());
      say("");
      await askedView(c, r, opened);
    }),
    button("Go back", async () => choiceView(c, opened), true));
}

// askedView shows the words to read out, and who has helped.
async function askedView(c: api.Clinic, r: helped.Asked, opened: Opened): Promise<void> {
  const e = await helped.escrowOf(r);
  const words = await wordsFor(r.recover);
  const link = `${location.origin}/help#${new URLSearchParams({ a: toHex(r.recover), n: r.helped.name })}`;
  const box = el("textarea", { id: "link", rows: "4", readonly: true, class: "code" }, link);
  const list = el("ul", { id: "helpers", class: "helpers" });
  const goOn = button("Enough have helped: go on", async () => {
    say("Waiting for your device.");
    try {
      const told = await helped.tell(c, r);
      waitingView(c, r, opened, known(told, r.wait));
    } finally {
      draw(); // a false part shows in the list
    }
  });
  const next = el("div", {});
  let given: api.Help[] = [];
  const draw = (): void => {
    list.replaceChildren(...e.wraps.map((w, i) => el("li", {}, `${capital(helped.helperCalled(e, i + 1))}: ${stateOf(r, e, given, w.x)}`)));
    const enough = given.filter((h) => !r.helped.liars.includes(helperAt(e, h.helper))).length >= e.need;
    if (enough !== goOn.isConnected || !next.isConnected) next.replaceChildren(...(enough ? [goOn] : []));
  };
  const look = async (): Promise<void> => {
    const before = given.length;
    given = (await helped.helps(r).catch(() => given)).filter((h) => helperAt(e, h.helper) > 0);
    draw();
    if (given.length > before) say(`${given.length} of ${e.wraps.length} helpers have answered.`);
  };
  draw();
  show("Call your helpers",
    p(`Any ${e.need} of your ${e.wraps.length} helpers are enough.`),
    el("h2", {}, "1. Send them this link"), el("label", { for: "link" }, "The link for your helpers"), box,
    button("Copy the link", async () => {
      await navigator.clipboard.writeText(link);
      say("The link is copied.");
    }, true),
    el("h2", {}, "2. Call them, or meet them"),
    p("Read these three words to each helper. Say them, never write them in a message."),
    el("p", { id: "said", class: "said" }, words.join(" ")),
    el("h2", {}, "3. Wait until enough have helped"), list, next,
    p("You may close this page. Come back to it in this browser."),
    button("Give up and begin anew", async () => {
      abandon();
      choiceView(c, opened);
    }, true));
  await look();
  every(pollEvery, list, look);
}

const capital = (text: string): string => text.replace(/^./, (c) => c.toUpperCase());

function stateOf(r: helped.Asked, e: Escrow, given: api.Help[], x: number): string {
  if (r.helped.liars.includes(x)) return "gave a wrong part. It is not used.";
  return given.some((h) => helperAt(e, h.helper) === x) ? "has helped." : "no answer yet.";
}

function waitingView(c: api.Clinic, r: Pending, opened: Opened, said = ""): void {
  const words = r.helped ? undefined : wordsBox();
  const left = countdown(r.told + r.wait);
  const wrong = r.helped?.liars ?? [];
  show("You have begun to come back",
    left,
    p(`Each keeper waits ${span(r.wait)} by its own clock. Come back to this page in this browser${words ? ", with the paper" : ""}.`),
    wrong.length > 0 ? el("p", { class: "warning" }, `What helper ${wrong.join(" and helper ")} gave is not the part you gave them. It was not used. You do not need it.`) : undefined,
    el("h2", {}, "When the wait is over"), ...(words?.rows ?? []),
    button("Open my record again", async () => {
      say("Waiting for your device. It asks twice.");
      const back = await (isAsked(r) ? helped.finish(c, r) : finish(c, r, words!.text()));
      say("");
      paperView(back.kit, () => shutOut(back, opened));
    }),
    button("Give up and begin anew", async () => {
      abandon();
      choiceView(c, opened);
    }, true));
  say(said);
  const look = async (): Promise<void> => {
    if (await helped.stopped(r).catch(() => false)) stoppedView(c, opened);
  };
  void look();
  every(pollEvery, left, look);
}

async function shutOut(back: Back, opened: Opened): Promise<void> {
  say("Shutting out the old devices. Your device asks once for each, and once for each old kit.");
  const ended = await back.end();
  await opened(back.session, `You are back. ${ended} old ${ended === 1 ? "passkey is" : "passkeys are"} shut out, and older kits are ended.`);
}

function stoppedView(c: api.Clinic, opened: Opened): void {
  show("This was stopped",
    p("Somebody with a device of this record said: this is not me."),
    p("It stays stopped. If it was you, sign in with that device. If it was not, talk to your clinic."),
    button("Begin anew", async () => {
      abandon();
      choiceView(c, opened);
    }, true));
  say("");
}
