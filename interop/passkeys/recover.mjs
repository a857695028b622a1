// A patient loses every device and comes back with the kit on paper, in
// Chromium against a live network whose keepers wait two seconds: the same
// record opens, the old device and the old kit are shut out.
import assert from "node:assert/strict";
import { device, launch, up } from "./network.mjs";
import { heading, look, press, printed, told } from "./page.mjs";

// Keepers wait by their own clocks: at the edge some are ready and some are not.
const notYet = /wait is not over|too few keepers answered/;

const network = await up("--recovery-wait", "2s");
let browser;
try {
  browser = await launch();
  const lost = await device(browser);
  await lost.page.goto((await network.run("invite", "--to", "dr-anna")).trim());
  await heading(lost.page, "Make the key to your health record");
  for (const box of await lost.page.getByRole("checkbox").all()) await box.check();
  await press(lost.page, "Make my passkey");
  const words = await printed(lost.page);
  await heading(lost.page, "Your record is ready");
  const actor = (await lost.page.textContent("#actor")).trim();
  const anna = await network.client("dr-anna");
  const made = await anna("POST", "/Patient", { "Abaton-Patient": actor }, { resourceType: "Patient", active: true });
  assert.equal(made.status, 201);

  const begin = async (page, text) => {
    await page.goto(`${network.url}/recover`);
    await press(page, "I have my kit");
    await heading(page, "Come back with your kit");
    await look(page, "recover");
    await page.getByLabel("The record's name").fill(actor);
    await page.getByLabel("The twelve words").fill(text);
    await press(page, "Begin");
  };
  const { page, problems, close } = await device(browser);
  await begin(page, words.toReversed().join(" "));
  assert.match(await told(page), /not the words of a kit|No kit of this record/);
  await begin(page, words.join(" "));
  await heading(page, "You have begun to come back");
  assert.match(await page.textContent("#status"), /^[45] of 5 keepers know\. They wait 2 seconds\./);
  await page.getByLabel("The twelve words").fill(words.join(" "));
  await press(page, "Open my record again");
  assert.match(await told(page), notYet);
  await look(page, "waiting");
  console.log("begun; no keeper opens before its wait is over");

  await page.reload(); // days may pass: nothing but the paper is needed
  await heading(page, "You have begun to come back");
  await page.getByLabel("The twelve words").fill(words.join("\n"));
  for (let early = true; early;) {
    await press(page, "Open my record again");
    const problem = page.locator("#problem");
    await problem.or(page.locator(".paper")).waitFor();
    early = (await problem.count()) > 0;
    if (early) assert.match(await problem.innerText(), notYet);
  }
  const renewed = await printed(page);
  assert.notDeepEqual(renewed, words);
  await heading(page, "Who can see my record");
  await page.waitForFunction(() => document.getElementById("status").textContent.startsWith("You are back. 1 old passkey is shut out"));
  await look(page, "back");
  await press(page, "Open my record");
  await heading(page, "My record");
  await page.waitForSelector("#entries");
  assert.deepEqual(await page.locator("#entries > li").allInnerTexts(), ["Patient: 1"]);
  const left = await page.evaluate(() => Object.keys(localStorage).join());
  assert.equal(left, "abaton.passkey", "what was remembered of the recovery is gone");
  console.log("back in");

  await page.goto(`${network.url}/unlock`);
  await press(page, "Open with my passkey");
  await heading(page, "My record");
  await lost.page.goto(`${network.url}/unlock`);
  await press(lost.page, "Open with my passkey");
  const shut = await told(lost.page);
  assert.match(shut, /does not hold|refused/);
  const again = await device(browser);
  await begin(again.page, words.join(" "));
  assert.match(await told(again.page), /No kit of this record/);
  await again.close();
  assert.deepEqual([...problems, ...lost.problems], [], "the pages keep to their policy");
  await close();
  console.log("the old device and the old kit open nothing");
} catch (err) {
  for (const context of browser?.contexts() ?? []) {
    for (const p of context.pages()) console.error(p.url().split("#")[0], await p.evaluate(() => document.body.innerText.replace(/(\w+\n){12}/, "")).catch(() => ""));
  }
  throw err;
} finally {
  await browser?.close();
  await network.stop();
}
