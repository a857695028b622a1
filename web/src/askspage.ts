// What a signed-in clinician sees of colleagues who are held back, and the page
// on which one agrees.
import * as api from "./api.ts";
import type { Session } from "./device.ts";
import { button, el, p, say, show } from "./dom.ts";
import * as second from "./second.ts";

const every = 3000; // milliseconds between looks

const whoIs = (a: api.Ask): string => a.who || "A colleague";

// asksPart is the list, which looks for news as long as it is shown. back shows
// the page that it stands on.
export function asksPart(s: Session, back: () => void): HTMLElement {
  const list = el("ul", { class: "cards", id: "asks" });
  const nobody = p("Nobody of your team asks you now.");
  const part = el("section", { "aria-labelledby": "asks-title" }, el("h2", { id: "asks-title" }, "Colleagues who need you"),
    p("The keepers hold some colleagues back. With you they go on with one patient."), nobody, list);
  let had = "";
  const renew = async (): Promise<void> => {
    for (let first = true; first || part.isConnected; first = false) {
      const asks = await api.asks(s.access).catch((err: unknown) => (err instanceof api.Refused ? [] : undefined));
      const names = asks?.map((a) => a.ask).join();
      if (asks && names !== had) {
        if (asks.length > 0 && part.isConnected) say("A colleague asks you to agree.");
        had = names!;
        nobody.hidden = asks.length > 0;
        list.replaceChildren(...asks.map((a) => card(s, a, back)));
      }
      await new Promise((go) => setTimeout(go, every));
    }
  };
  void renew();
  return part;
}

const facts = (a: api.Ask): HTMLElement => el("dl", {},
  el("dt", {}, "Works as"), el("dd", {}, a.role), el("dt", {}, "Patient"), el("dd", {}, a.label ? el("span", { class: "code" }, a.label) : "None: the clinic's own directory"),
  el("dt", {}, "Name"), el("dd", { class: "code" }, `${a.opener.slice(0, 12)}…`));

function card(s: Session, a: api.Ask, back: () => void): HTMLElement {
  const open = button("Look at it", async () => agreeView(s, a, back), true);
  open.setAttribute("aria-label", `Look at it: ${whoIs(a)}, ${second.spaced(a.code)}`);
  return el("li", {}, el("h3", {}, whoIs(a)), facts(a), open);
}

function agreeView(s: Session, a: api.Ask, back: () => void): void {
  say("");
  const again = button("Back", async () => back(), true);
  show(`${whoIs(a)} asks you to agree`,
    p(el("b", {}, "Speak to them first. Do not trust a message."), " Meet them, or call the number you know."),
    p("Ask which patient it is, and which number they see:"), el("p", { class: "said", id: "code" }, second.spaced(a.code)), facts(a),
    p("If you agree, they open this patient for five minutes. You open nothing."),
    p("Your name stands beside theirs in the patient's history."),
    button("The number is the same: I agree", async () => {
      say("Waiting for your security key.");
      await second.agree(s, a);
      say("");
      show("You agreed", p("Your colleague can open this patient for five minutes. After that they ask again."), again);
    }),
    button("Something is wrong", async () => {
      show("You did not agree", p("Nothing was opened. Call your security officer, and tell them who asked."), again);
    }, true));
}
