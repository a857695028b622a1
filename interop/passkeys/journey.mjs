// A patient's first hour in Chromium against a live network: enrols by an
// invitation, signs in, opens the record, steps up for the locked part, stops
// access; and the devices and links that must not get so far.
//
//   make build && cd interop/passkeys && npm ci && npm test
import assert from "node:assert/strict";
import { device, launch, up } from "./network.mjs";
import { heading, look, press, printed, told } from "./page.mjs";

// byKeyboard reaches a button with Tab alone and presses it.
async function byKeyboard(page, name) {
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press("Tab");
    if (await page.evaluate((n) => document.activeElement?.textContent === n, name)) return page.keyboard.press("Enter");
  }
  throw new Error(`no way to ${name} by keyboard`);
}

async function enrolled(page, link, name) {
  await page.goto(link);
  await heading(page, "Make the key to your health record");
  assert.equal(await page.locator("input:checked").count(), 0, "nothing is ticked for the person");
  if (name) await look(page, name);
  for (const box of await page.getByRole("checkbox").all()) await box.check();
  await press(page, "Make my passkey");
}

const network = await up();
let browser;
try {
  browser = await launch();
  console.log("browser", browser.version());
  const link = (await network.run("invite", "--to", "dr-anna")).trim();
  const me = await device(browser);
  const { page } = me;

  // A passkey alone is one way in: nothing is stored before there is another.
  await enrolled(page, link, "enrol");
  await heading(page, "Print the kit to your health record");
  const anna = await network.client("dr-anna");
  await look(page, "kit");
  await page.getByLabel("Name to print on it").fill("Maria");
  assert.match(await page.locator(".paper").innerText(), /^This paper opens Maria's health record\.[\s\S]*It opens after 24 hours\./);
  assert.match(await page.locator(".warning").innerText(), /^Only this device opens your record, and no record is stored yet\./);
  const name = (await page.textContent(".paper .code")).trim();
  assert.match(name, /^act1[a-z2-7]{52}$/);
  const early = await anna("POST", "/Patient", { "Abaton-Patient": name }, { resourceType: "Patient", active: true });
  assert.equal(early.status, 403, "no record before a second way in");
  assert.match(await early.text(), /no second way back in/);
  await page.emulateMedia({ media: "print" });
  assert.deepEqual([await page.locator("#words").isVisible(), await page.getByLabel("Word 3", { exact: true }).isVisible()], [true, false]);
  await page.emulateMedia({ media: null });
  await page.getByLabel("Word 3", { exact: true }).fill("abaton");
  await press(page, "My kit is printed");
  assert.match(await told(page), /not the words on the paper/);
  const words = await printed(page);
  await heading(page, "Your record is ready");
  const text = await page.evaluate(() => document.body.innerText);
  assert.ok(!text.includes(words.join("\n")) && !text.includes(words.join(" ")), "the words are shown once");
  await look(page, "ready");
  const actor = (await page.textContent("#actor")).trim();
  assert.match(actor, /^act1[a-z2-7]{52}$/);
  assert.equal(new URL(page.url()).hash, "", "the invitation is gone from the address");
  const { credentials } = await me.cdp.send("WebAuthn.getCredentials", { authenticatorId: me.authenticatorId });
  assert.equal(credentials.length, 1);
  assert.equal(credentials[0].userName, "Abaton: opens your health record");
  console.log("enrolled");

  // The clinic writes: two entries, and a note of a psychotherapy.
  const headers = { "Abaton-Patient": actor };
  const made = await anna("POST", "/Patient", headers, { resourceType: "Patient", active: true });
  assert.equal(made.status, 201, "the clinic adds to the record");
  const { id } = await made.json();
  const note = (text) => ({ resourceType: "Observation", status: "final", code: { text }, subject: { reference: `Patient/${id}` } });
  assert.equal((await anna("POST", "/Observation", {}, note("seen"))).status, 201);
  const label = { security: [{ system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code: "PSYTHPN" }] };
  const secret = await anna("POST", "/Observation", {}, { ...note("said"), meta: label });
  assert.equal(secret.status, 201, "and to its locked part");

  await page.goto(`${network.url}/sign-in`);
  await heading(page, "Sign in");
  await look(page, "sign-in");
  await byKeyboard(page, "Sign in with my passkey");
  await heading(page, "Who can see my record");
  await look(page, "who");
  const cards = await page.locator("ul.cards > li").allInnerTexts();
  assert.equal(cards.length, 2, "the clinic and the clinician");
  assert.ok(cards.some((t) => /^This clinic/.test(t) && /without reading any/.test(t)));
  assert.ok(cards.some((t) => /^A clinician/.test(t) && /Read all but the locked parts/.test(t)));
  assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1", "the heading has the focus");
  console.log("signed in");

  await press(page, "Open my record");
  await heading(page, "My record");
  await page.waitForSelector("#entries");
  assert.deepEqual(await page.locator("#entries > li").allInnerTexts(), ["Observation: 1", "Patient: 1"]);
  await look(page, "record");
  console.log("unlocked");

  await press(page, "Open the locked parts");
  await page.waitForFunction(() => document.querySelector("#entries")?.textContent.includes("Observation: 2"));
  assert.equal(await page.getByRole("button", { name: "Open the locked parts" }).count(), 0);
  console.log("stepped up");

  assert.equal((await anna("GET", `/Patient/${id}`)).status, 200);
  await press(page, "Who can see my record");
  await heading(page, "Who can see my record");
  await page.locator("ul.cards > li", { hasText: "A clinician" }).getByRole("button").click();
  await page.waitForFunction(() => /^Stopped\. [45] of 5 keepers refuse/.test(document.getElementById("status").textContent));
  assert.equal(await page.locator("ul.cards > li").count(), 1);
  await look(page, "stopped");
  const again = await network.client("dr-anna"); // what an open chart had is gone with its lease
  assert.equal((await again("GET", `/Patient/${id}`)).status, 404, "the clinician reads no more");
  console.log("revoked");

  await press(page, "Sign out");
  await heading(page, "You are signed out");
  const left = await page.evaluate(() => JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage), document.cookie]));
  assert.match(left, /^\[\[\["abaton\.passkey","\{\\"id\\":\\"[^"]+\\",\\"set\\":\\"[^"]+\\"\}"\]\],\[\],""\]$/, "no secret stays in the browser");

  // Another browser of the same person: two touches, then the same record.
  await page.evaluate(() => localStorage.clear());
  await page.goto(`${network.url}/unlock`);
  await heading(page, "Open my record");
  await look(page, "unlock");
  await press(page, "Open with my passkey");
  await heading(page, "My record");
  await page.waitForSelector("#entries");
  console.log("unlocked in a browser that knew nothing");

  // The invitation works once.
  const late = await device(browser);
  await enrolled(late.page, link);
  assert.match(await told(late.page), /was used or has run out/);
  await look(late.page, "used");
  await late.page.goto("about:blank");
  await late.page.goto(link.replace(/i=.{20}/, "i=AAAAAAAAAAAAAAAAAAAA"));
  await heading(late.page, "Make the key to your health record");
  await press(late.page, "Make my passkey");
  assert.match(await told(late.page), /invitation is not/);
  assert.deepEqual(late.problems, []);
  await late.close();

  const fresh = (await network.run("invite")).trim();
  const noPRF = await device(browser, { hasPrf: false });
  await enrolled(noPRF.page, fresh);
  assert.match(await told(noPRF.page), /cannot keep the key[\s\S]*use another device[\s\S]*kit on paper/);
  await look(noPRF.page, "no-prf");
  await noPRF.close();
  const noUV = await device(browser, { isUserVerified: false });
  await enrolled(noUV.page, fresh);
  assert.match(await told(noUV.page), /Nothing was done/);
  await noUV.close();
  console.log("devices without PRF or user verification get no further");

  // A device that is bound enrols as such with the very link, unused so far.
  const bound = await device(browser, { defaultBackupEligibility: false, defaultBackupState: false });
  await enrolled(bound.page, fresh);
  await heading(bound.page, "Print the kit to your health record");
  await press(bound.page, "Not now");
  await heading(bound.page, "Your key is made");
  await look(bound.page, "one-way");
  await bound.page.goto(`${network.url}/sign-in`);
  await press(bound.page, "Sign in with my passkey");
  await heading(bound.page, "Who can see my record");
  assert.match(await bound.page.locator(".warning").innerText(), /no record is stored yet/);
  await press(bound.page, "Make my kit");
  await printed(bound.page);
  await heading(bound.page, "Who can see my record");
  assert.equal(await bound.page.locator(".warning").count(), 0);
  console.log("a kit made later");
  await bound.page.goto(`${network.url}/unlock`);
  await press(bound.page, "Open with my passkey");
  await heading(bound.page, "My record");
  assert.deepEqual(bound.problems, []);
  await bound.close();
  // Authenticators that know one algorithm only: EdDSA, RS256.
  for (const only of [-8, -257]) {
    const d = await device(browser);
    await d.page.addInitScript((alg) => {
      const create = CredentialsContainer.prototype.create;
      CredentialsContainer.prototype.create = function (options) {
        options.publicKey.pubKeyCredParams = [{ type: "public-key", alg }];
        return create.call(this, options);
      };
    }, only);
    await enrolled(d.page, (await network.run("invite")).trim());
    await printed(d.page);
    await heading(d.page, "Your record is ready");
    await d.page.goto(`${network.url}/unlock`);
    await press(d.page, "Open with my passkey");
    await heading(d.page, "My record");
    assert.deepEqual(d.problems, []);
    await d.close();
    console.log("algorithm", only);
  }

  // Staff: a passkey that syncs is not sent at all; a bound one that nobody the
  // clinic trusts vouches for is refused by the gateway.
  const staff = (await network.run("invite", "--clinician")).trim();
  for (const [how, words] of [[{}, /can be copied to other devices/], [{ defaultBackupEligibility: false, defaultBackupState: false }, /does not take this kind of passkey/]]) {
    const key = await device(browser, how);
    await key.page.goto(staff);
    await heading(key.page, "Join the staff of Sample Clinic");
    await press(key.page, "Make my passkey");
    assert.match(await told(key.page), words);
    assert.deepEqual(key.problems, []);
    await look(key.page, "staff");
    await key.close();
  }
  console.log("staff come with what the clinic takes, or not at all");
  assert.deepEqual(me.problems, [], "the pages keep to their policy");
  console.log("ok");
} catch (err) {
  for (const context of browser?.contexts() ?? []) {
    for (const p of context.pages()) console.error(p.url().split("#")[0], await p.evaluate(() => document.body.innerText).catch(() => ""));
  }
  throw err;
} finally {
  await browser?.close();
  await network.stop();
}
