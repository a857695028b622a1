// The page /help: a helper hears three words, types them and helps.
import * as api from "./api.ts";
import { button, el, p, say, show } from "./dom.ts";
import * as helped from "./helped.ts";

export async function helpPage(): Promise<void> {
  const link = new URLSearchParams(location.hash.slice(1));
  const name = (link.get("n") ?? "").trim().slice(0, 60) || "Somebody";
  const plea = link.get("a") ?? "";
  if (!/^[0-9a-f]{64}$/.test(plea)) {
    show("This link is not complete", p("Please open the whole link, or ask the person for it again."));
    return;
  }
  const c = await api.clinic();
  const asked = await helped.readPlea(plea);
  const heard = el("input", { type: "text", id: "heard", autocomplete: "off", autocapitalize: "none", spellcheck: "false", maxlength: "60" });
  show(`${name} asks you to help them back in`,
    p(el("b", {}, `Call ${name} first. Do not trust a message.`), " Use the number you know, or meet them."),
    p("Ask: which three words do you see on your screen?"),
    el("label", { for: "heard" }, "The three words that you hear"), heard,
    p("Helping opens nothing for you. It takes ", `${asked.escrow.need} helpers together, and then a wait.`),
    button("The words match: I help", async () => {
      say("Checking the words, then waiting for your device.");
      const x = await helped.give(c, asked, heard.value);
      say("");
      show("You helped", p(`You are helper ${x} of ${asked.escrow.wraps.length}. Tell ${name} that number.`),
        p(`Now ${name} waits. Every device of theirs that is still alive is told, and can stop it.`), p("You can close this page."));
    }),
    button("Something is wrong", async () => {
      show("Nothing was given", p(`Call ${name} on the number you know, and tell them of this link.`),
        p("If they did not ask for help, somebody else did. Their clinic wants to know."));
    }, true));
}
