// A wait as people see it: until when, and how much is left.
import { el } from "./dom.ts";

const moment = (seconds: number): string =>
  new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit" }).format(new Date(seconds * 1000));

const count = (n: number, unit: string): string => `${n} ${unit}${n === 1 ? "" : "s"}`;

// leftOf writes a number of seconds in its two largest units.
export function leftOf(seconds: number): string {
  const [d, h, m, s] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60];
  if (d > 0) return `${count(d, "day")} ${count(h, "hour")}`;
  if (h > 0) return `${count(h, "hour")} ${count(m, "minute")}`;
  return m > 0 ? `${count(m, "minute")} ${count(s, "second")}` : count(s, "second");
}

// every repeats something while an element is shown.
export function every(ms: number, shown: HTMLElement, act: () => Promise<void> | void): void {
  const timer = setInterval(async () => {
    if (!shown.isConnected) return clearInterval(timer);
    await act();
  }, ms);
}

// countdown is by this device's clock; keepers go by their own.
export function countdown(until: number): HTMLElement {
  const left = el("p", { id: "left", class: "left", role: "timer" });
  const tick = (): void => {
    const n = until - Math.floor(Date.now() / 1000);
    left.textContent = n > 0 ? `Opens on ${moment(until)}. ${leftOf(n)} left.` : "The wait is over by this device's clock.";
  };
  tick();
  every(1000, left, tick);
  return left;
}
