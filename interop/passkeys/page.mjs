// What every journey does with a page.
import assert from "node:assert/strict";

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
