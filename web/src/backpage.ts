// The page /recover: a record's name and twelve words bring its owner back.
import * as api from "./api.ts";
import { abandon, begin, finish, pending } from "./back.ts";
import type { Session } from "./device.ts";
import { button, el, p, say, show } from "./dom.ts";
import { paperView, span } from "./paper.ts";

function wordsBox(): { rows: HTMLElement[]; text: () => string } {
  const box = el("textarea", { id: "words", rows: "4", autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  return { rows: [el("label", { for: "words" }, "The twelve words"), box], text: () => box.value };
}

export async function recoverPage(opened: (s: Session, said: string) => Promise<void>): Promise<void> {
  const c = await api.clinic();
  if (pending()) return waiting(c, opened);
  const name = el("input", { type: "text", id: "name", autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  const words = wordsBox();
  show("Come back with your kit",
    p("You need the paper that you printed. This device gets a new passkey, and your old devices are shut out."),
    p(`It opens after ${span(c.keepers.wait)}. Any device of yours that is still alive is told, and can stop it.`),
    el("label", { for: "name" }, "The record's name (it begins with act1)"), name, ...words.rows,
    button("Begin", async () => {
      say("Waiting for your device.");
      const told = await begin(c, name.value, words.text());
      await waiting(c, opened, `${told.at} of ${told.of} keepers know. They wait ${span(told.wait)}.`);
    }));
}

async function waiting(c: api.Clinic, opened: (s: Session, said: string) => Promise<void>, said = ""): Promise<void> {
  const words = wordsBox();
  show("You have begun to come back",
    p(`The keepers open after ${span(c.keepers.wait)}, each by its own clock. Come back to this page, with the paper, in this browser.`),
    el("h2", {}, "The wait is over"), ...words.rows,
    button("Open my record again", async () => {
      const r = pending();
      if (!r) return recoverPage(opened);
      say("Waiting for your device. It asks twice.");
      const back = await finish(c, r, words.text());
      say("");
      const on = async (): Promise<void> => {
        say("Shutting out the old devices. Your device asks once for each, and once for the old kit.");
        const ended = await back.end();
        await opened(back.session, `You are back. ${ended} old ${ended === 1 ? "passkey is" : "passkeys are"} shut out, and the old kit is ended.`);
      };
      paperView(back.kit, on);
    }),
    button("Give up and begin anew", async () => {
      abandon();
      await recoverPage(opened);
    }, true));
  say(said);
}
