// The kit as people see it: a page to print, shown once, and the proof that it
// was printed.
import type { Kit } from "./device.ts";
import { button, el, p, say, show, Told } from "./dom.ts";

// Which words prove that they stand on paper; counted from 1.
const asked = [3, 6];

// unkept is said wherever a record has one way in only.
export const unkept = (): HTMLElement => el("p", { class: "warning" },
  el("b", {}, "Only this device opens your record, and no record is stored yet."),
  " It is stored once there is a second way in: a kit on paper. If you lose the only way in, nobody can open your record, and neither can we.");

export function span(seconds: number): string {
  const [n, unit] = seconds % 86400 === 0 && seconds > 86400 ? [seconds / 86400, "day"] : seconds % 3600 === 0 ? [seconds / 3600, "hour"]
    : seconds % 60 === 0 ? [seconds / 60, "minute"] : [seconds, "second"];
  return `${n} ${unit}${n === 1 ? "" : "s"}`;
}

// paperView shows a kit; done follows once it is in force; later, where the owner
// may do without for now.
export function paperView(kit: Kit, done: () => Promise<void>, later?: () => Promise<void>): void {
  const whose = el("span", {}, "its owner");
  const name = el("input", { type: "text", id: "name", autocomplete: "off", maxlength: "60" });
  name.addEventListener("input", () => whose.replaceChildren(name.value.trim() || "its owner"));
  const boxes = asked.map((n) => ({ n, box: el("input", {
    type: "text", id: `word${n}`, autocomplete: "off", autocapitalize: "none", spellcheck: "false", maxlength: "20",
  }) }));
  show("Print the kit to your health record",
    el("div", { class: "screen" }, later && unkept(),
      el("label", { for: "name" }, "Name to print on it (it stays on this page)"), name,
      button("Print", async () => print(), true)),
    el("section", { class: "paper", "aria-label": "The kit" },
      p(el("b", {}, "This paper opens ", whose, "'s health record.")),
      el("ol", { id: "words", class: "words" }, ...kit.words.map((w) => el("li", {}, w))),
      p("Keep it where you keep your passport. Do not photograph it."),
      p(`Whoever has it can ask to open the record. It opens after ${span(kit.wait)}. Its owner is told at once and can stop it.`),
      p("To come back with it, open ", el("b", {}, `${location.origin}/recover`), " on your new device."),
      p("The record's name: ", el("span", { class: "code" }, kit.actor))),
    el("div", { class: "screen" },
      el("h2", {}, `Type words ${asked.join(" and ")} to prove it printed`),
      ...boxes.flatMap(({ n, box }) => [el("label", { for: box.id }, `Word ${n}`), box]),
      button("My kit is printed", async () => {
        if (boxes.some(({ n, box }) => box.value.trim().toLowerCase() !== kit.words[n - 1])) {
          throw new Told("These are not the words on the paper", `Please look at words ${asked.join(" and ")} on the printed page and type them again.`);
        }
        say("Waiting for your device.");
        const sent = await kit.confirm();
        if (!sent.inForce) {
          throw new Told("Too few keepers have it yet", `${sent.at} of ${sent.of} keepers have your kit. Keep the paper, and try again in a moment.`);
        }
        say("");
        await done();
      }),
      later && button("Not now", later, true)));
}
