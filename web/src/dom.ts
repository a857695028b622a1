// What is shown: elements made one by one, never from text.

type Child = Node | string | undefined;

export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K, props: Record<string, string | boolean | (() => void)>, ...children: Child[]
): HTMLElementTagNameMap[K] {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") e.addEventListener("click", value);
    else if (value === true) e.setAttribute(name, "");
    else if (value !== false) e.setAttribute(name, value);
  }
  e.append(...children.filter((c): c is Node | string => c !== undefined));
  return e;
}

export const p = (...children: Child[]): HTMLElement => el("p", {}, ...children);

// show replaces what the page says. Who reads by ear is led to its heading.
export function show(title: string, ...children: Child[]): void {
  document.title = `${title} - Abaton`;
  const heading = el("h1", { tabindex: "-1" }, title);
  document.getElementById("main")!.replaceChildren(heading, ...children.filter((c) => c !== undefined));
  heading.focus();
}

// say tells of progress without moving anybody.
export function say(text: string): void {
  document.getElementById("status")!.textContent = text;
}

// problem stands in front of everything and says what to do next.
export function problem(title: string, ...lines: string[]): void {
  say("");
  document.getElementById("problem")?.remove();
  const box = el("div", { id: "problem", class: "problem", role: "alert", tabindex: "-1" }, el("h2", {}, title), ...lines.map((l) => p(l)));
  document.querySelector("h1")!.after(box);
  box.focus();
}

// button acts once at a time and shows what went wrong.
export function button(label: string, act: () => Promise<void>, quiet = false): HTMLButtonElement {
  const b = el("button", { type: "button", class: quiet ? "quiet" : "" }, label);
  b.addEventListener("click", () => {
    if (b.disabled) return;
    b.disabled = true;
    document.getElementById("problem")?.remove();
    act().catch((err: unknown) => explain(err)).finally(() => {
      b.disabled = false;
    });
  });
  return b;
}

// Told is an error with words for the person.
export class Told extends Error {
  readonly lines: string[];
  constructor(title: string, ...lines: string[]) {
    super(title);
    this.lines = lines;
  }
}

export function explain(err: unknown): void {
  if (err instanceof Told) return problem(err.message, ...err.lines);
  if (err instanceof DOMException && (err.name === "NotAllowedError" || err.name === "AbortError")) {
    return problem("Nothing was done", "The passkey was not used: it was cancelled or took too long. You can try again.");
  }
  problem("That did not work", "Nothing was changed. Try again in a moment. If it stays so, tell your clinic.");
}

// day is a date as people write it here.
export const day = (seconds: number): string =>
  new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" }).format(new Date(seconds * 1000));

export const clock = (seconds: number): string =>
  new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" }).format(new Date(seconds * 1000));
