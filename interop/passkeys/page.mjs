// What every journey does with a page.
import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const shots = process.env.SHOTS; // a folder for screenshots; none without it
if (shots) await mkdir(shots, { recursive: true });

// look checks a page as it stands: accessible, nothing wider than 320 px.
export async function look(page, name) {
  await page.evaluate(axe);
  for (const width of [1280, 320]) {
    await page.setViewportSize({ width, height: 800 });
    const { violations } = await page.evaluate(() => globalThis.axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }));
    assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target).join(" ")}`), [], `${name} at ${width}`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= width, `${name} is ${wide} px wide at ${width}`);
    const small = await page.evaluate(() => [...document.querySelectorAll("button, input")]
      .filter((b) => b.getBoundingClientRect().height < 24).map((b) => b.textContent));
    assert.deepEqual(small, [], `${name}: targets below 24 px`);
    if (shots) await page.screenshot({ path: join(shots, `${name}-${width}.png`), fullPage: true });
  }
}

export const heading = (page, text) => page.waitForFunction((t) => document.querySelector("h1")?.textContent === t, text);
export const told = async (page) => (await page.waitForSelector("#problem")).innerText();
export const press = (page, name) => page.getByRole("button", { name, exact: true }).click();

// printed reads the kit from the page and types what proves it.
export async function printed(page) {
  await heading(page, "Print the kit to your health record");
  const words = await page.locator("#words > li").allInnerTexts();
  assert.equal(words.length, 12);
  for (const n of [3, 6]) await page.getByLabel(`Word ${n}`, { exact: true }).fill(words[n - 1].toUpperCase());
  await press(page, "My kit is printed");
  return words;
}
