// Ward care goes on: the keepers suspend a doctor who opened a made-up patient.
// The doctor's program is told where to go; a colleague reads the same number at
// a computer of the clinic, touches the security key, and the request succeeds.
import assert from "node:assert/strict";
import { device } from "./network.mjs";
import { heading, look, press } from "./page.mjs";

// secondClinician plays it; ward is a page where the colleague is signed in.
export async function secondClinician(network, browser, ward) {
  const before = await (await network.client("dr-anna"))("GET", "/Patient?_count=1");
  const id = (await before.json()).entry[0].resource.id;
  await network.run("honey", "make", "--count", "1", "--to", "dr-anna");
  const fhir = await network.client("dr-anna");
  assert.equal((await fhir("GET", "/Patient")).status, 403, "the made-up patient");
  const refused = await fhir("GET", `/Patient/${id}`);
  assert.equal(refused.status, 403);
  const { diagnostics } = (await refused.json()).issue[0];
  const [, page] = diagnostics.match(/(\/held#[0-9a-f]{32})$/) ?? [];
  assert.ok(page && !diagnostics.includes(id), "where to go, and nothing of the patient");

  const doctor = await device(browser);
  await doctor.page.goto(`${network.url}${page}`);
  await heading(doctor.page, "You are held back");
  await look(doctor.page, "held-back");
  await press(doctor.page, "Ask a second clinician");
  await heading(doctor.page, "Ask a colleague to agree");
  await look(doctor.page, "held-asked");
  const number = await doctor.page.textContent("#code");

  await ward.locator("#asks li").waitFor();
  await look(ward, "second-list");
  await ward.getByRole("button", { name: /^Look at it/ }).click();
  await heading(ward, "A colleague asks you to agree");
  assert.equal(await ward.textContent("#code"), number, "the number that both see");
  assert.match(await ward.textContent("dl"), new RegExp(id));
  await look(ward, "second-agree");
  await press(ward, "The number is the same: I agree");
  await heading(ward, "You agreed");
  await look(ward, "second-agreed");
  await heading(doctor.page, "Your colleague agreed");
  await look(doctor.page, "held-agreed");
  const opened = await fhir("GET", `/Patient/${id}`);
  assert.equal(opened.status, 200, await opened.text());
  assert.equal((await fhir("GET", "/Patient")).status, 403, "everybody else stays closed");
  await press(ward, "Back");
  await heading(ward, "You are signed in");
  await doctor.page.goto("about:blank");
  await doctor.page.goto(`${network.url}/held#${"0".repeat(32)}`);
  await heading(doctor.page, "This page is over");
  await look(doctor.page, "held-over");
  console.log("a suspended doctor goes on with one patient, with a second clinician");
  return doctor.problems;
}
