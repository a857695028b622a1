// "Recovery and helpers": which ways back in there are, who is on one, and the
// choice of helpers.
import * as api from "./api.ts";
import * as device from "./device.ts";
import { button, clock, day, el, p, say, show, Told } from "./dom.ts";
import type { Holder } from "./escrow.ts";
import { boxOf, endOf } from "./helped.ts";
import { paperView, span, unkept } from "./paper.ts";

type Return = (said?: string) => Promise<void>;

const helperCount = 3, helpersNeeded = 2;

// alarms are people on the way in as this person, each with the way to stop it.
export function alarms(s: device.Session, me: api.Me, back: Return): HTMLElement[] {
  return me.recoveries.filter((r) => !r.stopped && !r.done).map((r) => el("section", { class: "problem", "aria-label": "Somebody wants to come in" },
    el("h2", {}, "Somebody asks to come in as you"),
    p(`With your ${r.by}, since ${day(r.begun)}, ${clock(r.begun)}. They get in ${span(r.wait)} after the keepers heard of it.`),
    p("If this is you on a new device, do nothing."),
    button("It is not me: stop it", async () => {
      say("Waiting for your device.");
      const done = await device.veto(s, r.event);
      await back(done.inForce ? `Stopped for ever. ${done.at} of ${done.of} keepers let nobody in by this.${r.by === "kit" ? " If your kit is not where you left it, make a new one." : " Talk to your helpers."}`
        : `${done.at} of ${done.of} keepers know. The others will follow.`);
    })));
}

export async function waysView(s: device.Session, home: Return, said = ""): Promise<void> {
  const me = await api.me(s.access);
  const again = async (text?: string): Promise<void> => waysView(s, home, text);
  const ways = ["this device", me.kit ? "your kit" : "", me.helpers ? "your helpers" : ""].filter(Boolean);
  show("Recovery and helpers",
    ...alarms(s, me, again),
    ways.length > 1 ? p(`You can get back in, in ${ways.length} ways: ${ways.join(", ")}. Good.`) : unkept(),
    el("h2", {}, "Your kit"),
    p(me.kit ? "You have a kit on paper. A new one makes the old one useless." : "You have no kit on paper."),
    button(me.kit ? "Make a new kit" : "Make my kit", async () => {
      say("Waiting for your device.");
      const old = (await api.way(me.actor)).kits;
      const kit = await device.kit(s);
      say("");
      paperView(kit, async () => {
        for (const k of old) await device.stop(s, k.id);
        await again("Your kit is in force. Older ones open nothing.");
      }, me.kit ? undefined : again);
    }, true),
    el("h2", {}, "Your helpers"),
    p(me.helpers ? "You have helpers. Choosing others ends their help." : "Choose three people. Any two together can help you back in."),
    p("One alone can do nothing. None of them can read your record."),
    button(me.helpers ? "Choose other helpers" : "Choose my helpers", async () => chooseView(s, again), true),
    el("h2", {}, "Be somebody's helper"),
    p("Give them this name. They need it to choose you. It opens nothing."),
    el("p", { class: "code", id: "actor" }, me.actor),
    p("They call you to compare its end: ", el("b", { class: "code" }, endOf(me.actor))),
    button("Go back", async () => home(), true));
  say(said);
}

interface Chosen extends Holder {
  name: string;
  actor: string;
}

function chooseView(s: device.Session, back: Return, before: { name: string; actor: string }[] = []): void {
  const rows = Array.from({ length: helperCount }, (_, i) => {
    const field = (id: string, label: string, value: string, max: string): [HTMLElement, HTMLInputElement] => {
      const box = el("input", { type: "text", id: `${id}${i + 1}`, autocomplete: "off", autocapitalize: "none", spellcheck: "false", maxlength: max });
      box.value = value;
      return [el("label", { for: box.id }, label), box];
    };
    const [nameLabel, name] = field("name", `Name of helper ${i + 1}`, before[i]?.name ?? "", "60");
    const [actorLabel, actor] = field("actor", `Name of helper ${i + 1}'s record (it begins with act1)`, before[i]?.actor ?? "", "80");
    return { part: el("fieldset", {}, el("legend", {}, `Helper ${i + 1}`), nameLabel, name, actorLabel, actor), name, actor };
  });
  show("Choose your helpers",
    p("Choose three people. Any two together can help you back in. One alone can do nothing. None of them can read your record."),
    p("Each finds the name of their own record under ", el("b", {}, "Recovery and helpers"), ". Let them send it to you."),
    ...rows.map((r) => r.part),
    button("Go on", async () => {
      const typed = rows.map((r, i) => ({ name: r.name.value.trim() || `Helper ${i + 1}`, actor: r.actor.value.trim() }));
      say("Looking for them.");
      const chosen = await find(s, typed);
      say("");
      checkView(s, chosen, back);
    }),
    button("Go back", async () => back(), true));
}

async function find(s: device.Session, typed: { name: string; actor: string }[]): Promise<Chosen[]> {
  const out: Chosen[] = [];
  for (const [i, t] of typed.entries()) {
    const found = await boxOf(t.actor).catch((err: unknown) => {
      if (err instanceof Told && !(err instanceof api.Refused && err.status === 404)) throw err;
      throw new Told(`We do not find helper ${i + 1}`, "Please look at the name of their record again. Helpers need a record at this clinic.");
    });
    if (t.actor === api.nameOf(s.actor)) throw new Told(`Helper ${i + 1} is yourself`, "A helper is somebody else: you may lose what is yours.");
    if (out.some((o) => o.actor === t.actor)) throw new Told(`Helper ${i + 1} is there twice`, "Choose three different people.");
    out.push({ ...t, ...found });
  }
  return out;
}

function checkView(s: device.Session, chosen: Chosen[], back: Return): void {
  show("Are these your helpers?",
    p("Call each of them, or meet them. Ask how the name of their record ends."),
    el("ol", { id: "check", class: "check" }, ...chosen.map((h) => el("li", {}, el("b", {}, h.name), ": ends in ", el("b", { class: "code" }, endOf(h.actor))))),
    p(`Any ${helpersNeeded} of these ${chosen.length} together can ask to open your record. It opens after ${span(s.clinic.keepers.wait)}. You are told, and can stop it.`),
    button("Yes, these are my helpers", async () => {
      say("Waiting for your device. It asks twice, and once more where you had other helpers.");
      const sent = await device.choose(s, chosen, helpersNeeded);
      if (!sent.inForce) throw new Told("Too few keepers have it yet", `${sent.at} of ${sent.of} keepers have it. Try again in a moment.`);
      listView(api.nameOf(s.actor), chosen, `Your helpers are in force at ${sent.at} of ${sent.of} keepers.`, back);
    }),
    button("Change something", async () => chooseView(s, back, chosen), true));
}

// listView is a page to print: it opens nothing, and says whom to call.
function listView(actor: string, chosen: Chosen[], said: string, back: Return): void {
  show("Print the list of your helpers",
    el("div", { class: "screen" }, p("If you lose your device, you need this list. It opens nothing. We keep no names of your helpers."),
      button("Print", async () => print(), true)),
    el("section", { class: "paper", "aria-label": "The list" },
      p(el("b", {}, "These people can help me back into my health record. Any two of them are enough.")),
      el("ol", { class: "check" }, ...chosen.map((h) => el("li", {}, `${h.name} (${endOf(h.actor)})`))),
      p("To come back with them, open ", el("b", {}, `${location.origin}/recover`), " on a new device. Then call them."),
      p("The record's name: ", el("span", { class: "code" }, actor))),
    el("div", { class: "screen" }, button("My list is printed", async () => back("You have helpers."))));
  say(said);
}
