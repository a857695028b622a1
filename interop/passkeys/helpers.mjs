// A patient asks three people to help, loses every device, and two of them
// bring her back, in Chromium against a live network whose keepers wait four
// seconds: one helper lies and is named, one is not reached; the keepers say
// when it is too early; and a device that is still alive stops a stranger.
import assert from "node:assert/strict";
import { device, launch, up } from "./network.mjs";
import { heading, look, press, printed, told } from "./page.mjs";

// Keepers wait by their own clocks: at the edge some are ready and some are not.
const notYet = /wait is not over|too few keepers answered|Too few keepers let/;

const network = await up("--recovery-wait", "4s");
let browser;

// person is somebody with a record, a kit on paper and a browser.
async function person() {
  const one = await device(browser);
  await one.page.goto((await network.run("invite", "--to", "dr-anna")).trim());
  await heading(one.page, "Make the key to your health record");
  for (const box of await one.page.getByRole("checkbox").all()) await box.check();
  await press(one.page, "Make my passkey");
  one.kit = await printed(one.page);
  await heading(one.page, "Your record is ready");
  one.actor = (await one.page.textContent("#actor")).trim();
  return one;
}

// ways signs in and goes to "Recovery and helpers".
async function ways({ page }) {
  await page.goto(`${network.url}/sign-in`);
  await heading(page, "Sign in");
  await press(page, "Sign in with my passkey");
  await heading(page, "Who can see my record");
  await press(page, "Recovery and helpers");
  await heading(page, "Recovery and helpers");
}

const status = (page, words) => page.waitForFunction((t) => new RegExp(t).test(document.getElementById("status").textContent), words.source);

try {
  browser = await launch();
  const maria = await person();
  const [bo, cas, dee, stranger] = [await person(), await person(), await person(), await person()];
  const anna = await network.client("dr-anna");
  assert.equal((await anna("POST", "/Patient", { "Abaton-Patient": maria.actor }, { resourceType: "Patient", active: true })).status, 201);

  // Each helper finds the name to give; Maria types all three and compares.
  await ways(bo);
  assert.equal((await bo.page.textContent("#actor")).trim(), bo.actor);
  await ways(maria);
  const { page } = maria;
  assert.match(await page.innerText("main"), /You can get back in, in 2 ways: this device, your kit\. Good\./);
  await look(page, "ways");
  await press(page, "Choose my helpers");
  await heading(page, "Choose your helpers");
  const choose = async (chosen) => {
    for (const [i, [name, actor]] of chosen.entries()) {
      await page.getByLabel(`Name of helper ${i + 1}`, { exact: true }).fill(name);
      await page.getByLabel(`Name of helper ${i + 1}'s record`).fill(actor);
    }
    await press(page, "Go on");
  };
  await choose([["Bo", bo.actor], ["Cas", bo.actor], ["Dee", dee.actor]]);
  assert.match(await told(page), /Helper 2 is there twice/);
  await choose([["Bo", bo.actor], ["Cas", maria.actor], ["Dee", dee.actor]]);
  assert.match(await told(page), /Helper 2 is yourself/);
  await choose([["Bo", bo.actor], ["Cas", "act1nobody"], ["Dee", dee.actor]]);
  assert.match(await told(page), /We do not find helper 2/);
  await look(page, "choose");
  await choose([["Bo", bo.actor], ["Cas", cas.actor], ["Dee", dee.actor]]);
  await heading(page, "Are these your helpers?");
  assert.deepEqual(await page.locator("#check > li").allInnerTexts(), [["Bo", bo], ["Cas", cas], ["Dee", dee]].map(([n, h]) => `${n}: ends in ${h.actor.slice(-6)}`));
  await look(page, "check");
  await press(page, "Yes, these are my helpers");
  await heading(page, "Print the list of your helpers");
  assert.match(await page.locator(".paper").innerText(), new RegExp(`Bo[\\s\\S]*Cas[\\s\\S]*Dee[\\s\\S]*${maria.actor}`));
  await look(page, "list");
  await press(page, "My list is printed");
  await heading(page, "Recovery and helpers");
  assert.match(await page.innerText("main"), /in 3 ways: this device, your kit, your helpers\. Good\./);
  console.log("helpers chosen");

  // Maria's phone is gone. A browser that knows nothing asks.
  const lost = maria;
  const fresh = await device(browser);
  await fresh.page.goto(`${network.url}/recover`);
  await heading(fresh.page, "Come back to your record");
  await look(fresh.page, "come-back");
  await press(fresh.page, "My helpers bring me back");
  await heading(fresh.page, "Come back with your helpers");
  await look(fresh.page, "ask");
  await fresh.page.getByLabel("The record's name").fill(stranger.actor);
  await fresh.page.getByLabel("Your name").fill("Maria");
  await press(fresh.page, "Ask my helpers");
  assert.match(await told(fresh.page), /This record has no helpers/);
  await fresh.page.getByLabel("The record's name").fill(maria.actor);
  await press(fresh.page, "Ask my helpers");
  await heading(fresh.page, "Call your helpers");
  const words = (await fresh.page.textContent("#said")).trim();
  assert.match(words, /^[a-z]+ [a-z]+ [a-z]+$/);
  const link = (await fresh.page.getByLabel("The link for your helpers").inputValue()).trim();
  assert.ok(!link.includes(words.split(" ")[0]), "the words are in no message");
  await look(fresh.page, "call");
  assert.equal(await fresh.page.getByRole("button", { name: /go on/ }).count(), 0, "nobody has helped yet");

  // Bo hears other words than the screen shows: nothing is given.
  const helps = async (who, heard) => {
    await who.page.goto("about:blank");
    await who.page.goto(link);
    await heading(who.page, "Maria asks you to help them back in");
    assert.match(await who.page.innerText("main"), /Call Maria first\. Do not trust a message\./);
    assert.ok(!(await who.page.innerText("main")).includes(words), "the helper's page does not tell the words");
    await who.page.getByLabel("The three words that you hear").fill(heard);
    await press(who.page, "The words match: I help");
  };
  await helps(bo, "heron kettle lemon");
  assert.match(await told(bo.page), /These are not the same words[\s\S]*Nothing was given/);
  await look(bo.page, "wrong-words");
  await helps(stranger, words);
  assert.match(await told(stranger.page), /You are not a helper of this record/);
  await bo.page.goto("about:blank");
  await bo.page.goto(link);
  await heading(bo.page, "Maria asks you to help them back in");
  await look(bo.page, "help");

  await helps(bo, ` ${words.toUpperCase()} `);
  await heading(bo.page, "You helped");
  assert.match(await bo.page.innerText("main"), /You are helper 1 of 3/);
  await look(bo.page, "helped");
  await helps(bo, words);
  assert.match(await told(bo.page), /helped already/);

  // Cas lies: what leaves this browser is not the part that was given.
  await cas.page.route("**/portal/help", (route) => {
    const body = route.request().postDataJSON();
    const at = body.part.length - 30;
    body.part = body.part.slice(0, at) + (body.part[at] === "A" ? "B" : "A") + body.part.slice(at + 1);
    return route.continue({ postData: JSON.stringify(body) });
  });
  await helps(cas, words);
  await heading(cas.page, "You helped");

  // Two answers, one of them false: it is named before anything is asked of keepers.
  await fresh.page.reload();
  await heading(fresh.page, "Call your helpers");
  assert.equal((await fresh.page.textContent("#said")).trim(), words, "the same words after a reload");
  await press(fresh.page, "Enough have helped: go on");
  assert.match(await told(fresh.page), /One helper gave a wrong part[\s\S]*helper 2 \([a-z2-7]{6}\)[\s\S]*Ask one more helper/);
  assert.match(await fresh.page.locator("#helpers").innerText(), /Helper 1 [^\n]*has helped\.\nHelper 2 [^\n]*gave a wrong part[^\n]*\nHelper 3 [^\n]*no answer yet/);
  await look(fresh.page, "liar");
  await fresh.page.waitForFunction(() => ![...document.querySelectorAll("button")].some((b) => b.textContent.includes("go on")));
  console.log("one helper alone opens nothing; the one who lied is named");

  await helps(dee, words);
  await heading(dee.page, "You helped");
  await press(fresh.page, "Enough have helped: go on");
  await heading(fresh.page, "You have begun to come back");
  await status(fresh.page, /^[45] of 5 keepers know\. They wait 4 seconds\./);
  assert.match(await fresh.page.textContent("#left"), /^Opens on \w+,? \d+ \w+ \d{4} at \d\d:\d\d\. \d seconds? left\.$|wait is over/);
  assert.match(await fresh.page.innerText(".warning"), /helper 2 gave is not the part/);
  await press(fresh.page, "Open my record again");
  assert.match(await told(fresh.page), notYet);
  await look(fresh.page, "helpers-waiting");
  console.log("two of three helped; it is too early");

  // Her phone, in a thief's hands or found again, is told at once.
  await ways(lost);
  assert.match(await page.innerText("main"), /Somebody asks to come in as you[\s\S]*With your helpers, since/);

  const open = async (at) => {
    for (let early = true; early;) {
      await press(at, "Open my record again");
      const problem = at.locator("#problem");
      await problem.or(at.locator(".paper")).waitFor();
      early = (await problem.count()) > 0;
      if (early) assert.match(await problem.innerText(), notYet);
    }
  };
  await fresh.page.reload(); // days may pass
  await heading(fresh.page, "You have begun to come back");
  await open(fresh.page);
  await printed(fresh.page);
  await heading(fresh.page, "Who can see my record");
  await status(fresh.page, /^You are back\. 1 old passkey is shut out/);
  await press(fresh.page, "Open my record");
  await heading(fresh.page, "My record");
  await fresh.page.waitForSelector("#entries");
  assert.deepEqual(await fresh.page.locator("#entries > li").allInnerTexts(), ["Patient: 1"]);
  assert.equal(await fresh.page.evaluate(() => Object.keys(localStorage).join()), "abaton.passkey", "what was remembered of the recovery is gone");
  await page.goto(`${network.url}/unlock`);
  await press(page, "Open with my passkey");
  assert.match(await told(page), /does not hold|refused/);
  console.log("back in; the lost device is shut out");

  // Somebody found Bo's kit. Bo's own phone is alive, sees it and stops it.
  const thief = await device(browser);
  await thief.page.goto(`${network.url}/recover`);
  await press(thief.page, "I have my kit");
  await thief.page.getByLabel("The record's name").fill(bo.actor);
  await thief.page.getByLabel("The twelve words").fill(bo.kit.join(" "));
  await press(thief.page, "Begin");
  await heading(thief.page, "You have begun to come back");
  await bo.page.goto(`${network.url}/sign-in`);
  await press(bo.page, "Sign in with my passkey");
  await heading(bo.page, "Who can see my record");
  await look(bo.page, "alarm");
  await press(bo.page, "It is not me: stop it");
  await status(bo.page, /^Stopped for ever\. [45] of 5 keepers let nobody in by this\. If your kit is not where you left it/);
  assert.equal(await bo.page.getByRole("button", { name: "It is not me: stop it" }).count(), 0);
  await heading(thief.page, "This was stopped");
  await look(thief.page, "stopped-return");
  console.log("a live device stopped a stranger");

  assert.deepEqual([maria, bo, cas, dee, stranger, fresh, thief].flatMap((d) => d.problems), [], "the pages keep to their policy");
  console.log("ok");
} catch (err) {
  for (const context of browser?.contexts() ?? []) {
    for (const p of context.pages()) console.error(p.url().split("#")[0], await p.evaluate(() => document.body.innerText.replace(/(\w+\n){12}/, "")).catch(() => ""));
  }
  throw err;
} finally {
  await browser?.close();
  await network.stop();
}
