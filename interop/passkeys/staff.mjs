// A clinician's first day in Chromium against a live network: a security key
// that the clinic's list of authenticators takes, a computer that two managers
// made the clinic's own, the clinic's word about it, and a sign-in in a role.
// Each of these alone does not do. Chromium's virtual security key attests in the
// format "packed" with a certificate; chromium.toml takes it, for tests alone.
import assert from "node:assert/strict";
import { join } from "node:path";
import { device, launch, upWith } from "./network.mjs";
import { heading, look, press, told } from "./page.mjs";
import { secondClinician } from "./second.mjs";

const bound = { defaultBackupEligibility: false, defaultBackupState: false };
const network = await upWith({ authenticators: join(import.meta.dirname, "chromium.toml") });
let browser;

const enrol = async (how) => {
  const key = await device(browser, how);
  await key.page.goto((await network.run("invite", "--clinician")).trim());
  await heading(key.page, "Join the staff of Sample Clinic");
  await press(key.page, "Make my passkey");
  return key;
};

// visit opens a link in the same tab, as a new visit.
const visit = async (page, url) => {
  await page.goto("about:blank");
  await page.goto(url);
};

try {
  browser = await launch();
  const synced = await enrol({});
  assert.match(await told(synced.page), /This passkey can be copied to other devices\s+Staff use one that stays where it is/);
  await synced.close();
  const carla = await enrol(bound);
  const { page } = carla;
  await heading(page, "You are enrolled");
  const actor = (await page.textContent("#actor")).trim();
  await look(page, "staff-enrolled");
  console.log("a security key of the clinic's list is taken, one that syncs is not");

  // This computer is nobody's yet.
  await visit(page, `${network.url}/staff`);
  await heading(page, "This computer is not one of your clinic's");
  await look(page, "staff-nobody");
  await visit(page, (await network.run("invite")).trim().replace("/enrol#", "/staff#")); // a patient's invitation
  await press(page, "Make it one of ours");
  assert.match(await told(page), /not for a computer here/);
  const invitation = (await network.run("invite", "--device")).trim();
  await visit(page, invitation);
  await heading(page, "Make this computer one of Sample Clinic");
  await look(page, "staff-device");
  await press(page, "Make it one of ours");
  await heading(page, "This computer is enrolled");
  const seat = (await page.textContent("#actor")).trim();
  const kept = await page.evaluate(() => new Promise((done) => {
    const opening = indexedDB.open("abaton", 1);
    opening.onsuccess = () => {
      const asked = opening.result.transaction("seat").objectStore("seat").get("this");
      asked.onsuccess = () => crypto.subtle.exportKey("pkcs8", asked.result.key).then(() => done("read"), () => done("not to be read"));
    };
  }));
  assert.equal(kept, "not to be read", "the computer's key");
  const other = await device(browser, bound);
  await visit(other.page, invitation);
  await press(other.page, "Make it one of ours");
  assert.match(await told(other.page), /was used or has run out/);

  // Enrolled, and the clinic has not said today that it is in order.
  const signIn = async (role) => {
    await page.getByLabel("I work as").selectOption(role);
    await press(page, "Sign in with my security key");
  };
  await visit(page, `${network.url}/staff`);
  await heading(page, "Sign in for work");
  await look(page, "staff-sign-in");
  await press(page, "Sign in with my security key");
  assert.match(await told(page), /Choose what you work as/);
  await signIn("physician");
  assert.match(await told(page), /has not vouched for this computer today/);
  const word = (await network.run("device", "vouch", seat)).trim();
  await visit(page, word);
  await heading(page, "Sign in for work");
  assert.equal(new URL(page.url()).hash, "");
  await signIn("physician"); // nobody has taken her on
  assert.match(await told(page), /has not taken you on in this role/);
  await look(page, "staff-refused");
  await network.run("staff", "add", actor, "--roles", "physician");
  await signIn("therapist");
  assert.match(await told(page), /has not taken you on in this role/);
  const sent = page.waitForResponse("**/login/complete");
  await signIn("physician");
  await heading(page, "You are signed in");
  await look(page, "staff-signed-in");
  const { access, actor: who } = await (await sent).json();
  assert.equal(who, actor);
  const fhir = (path) => fetch(`${network.url}${path}`, { headers: { Authorization: `Bearer ${access}` } });
  assert.equal((await fhir("/Patient")).status, 200);
  assert.equal((await (await fhir("/Patient")).json()).entry?.filter((e) => e.search?.mode === "match").length ?? 0, 0, "who has no grant sees nobody");
  const broken = await secondClinician(network, browser, page);
  await press(page, "Sign out");
  await heading(page, "Sign in for work");
  assert.equal((await fhir("/Patient")).status, 401);
  console.log("signed in with key, computer, the clinic's word and a role, and not with less");

  // The computer is stolen: the help desk ends it by its name. A gateway may go by
  // what it heard of the clinic up to a minute ago.
  await network.run("device", "lost", seat);
  for (const began = Date.now(); ;) {
    await signIn("physician");
    const refused = page.locator("#problem");
    await refused.or(page.getByRole("button", { name: "Sign out" })).waitFor();
    if (await refused.count()) break;
    assert.ok(Date.now() - began < 60_000, "a minute after it was reported lost staff sign in there");
    await press(page, "Sign out");
    await heading(page, "Sign in for work");
  }
  assert.match(await told(page), /this computer is not one of its own any more/);
  await network.run("staff", "leave", actor);
  console.log("a computer that is reported lost signs nobody in");

  // The word about one computer is of no use at another.
  await visit(other.page, (await network.run("invite", "--device")).trim());
  await press(other.page, "Make it one of ours");
  await heading(other.page, "This computer is enrolled");
  await visit(other.page, word);
  assert.match(await told(other.page), /This is not about this computer/);
  assert.deepEqual([...[synced, carla, other].flatMap((d) => d.problems), ...broken], [], "the pages keep to their policy");
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
