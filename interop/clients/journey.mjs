// What every client library is asked to do. Each check is made on what the
// library gives back, not on the wire: a library that stumbles over an answer
// fails here.
import assert from "node:assert/strict";

export const observation = (patient, value) => ({
  resourceType: "Observation",
  status: "final",
  category: [{ coding: [{ system: "http://terminology.hl7.org/CodeSystem/observation-category", code: "vital-signs" }] }],
  code: { coding: [{ system: "http://loinc.org", code: "8867-4" }], text: "Heart rate" },
  subject: { reference: `Patient/${patient}` },
  effectiveDateTime: "2026-05-04T10:00:00+02:00",
  valueQuantity: { value, unit: "/min", system: "http://unitsofmeasure.org", code: "/min" },
});

export const transaction = (patient) => ({
  resourceType: "Bundle",
  type: "transaction",
  entry: [
    {
      fullUrl: "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a",
      resource: {
        resourceType: "Encounter",
        status: "finished",
        class: { system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code: "AMB" },
        subject: { reference: `Patient/${patient}` },
        period: { start: "2026-05-04T09:00:00Z", end: "2026-05-04T09:20:00Z" },
      },
      request: { method: "POST", url: "Encounter" },
    },
    {
      fullUrl: "urn:uuid:88f151c0-a954-468a-88bd-5ae15c08e059",
      resource: {
        ...observation(patient, 71),
        encounter: { reference: "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a" },
      },
      request: { method: "POST", url: "Observation" },
    },
  ],
});

// journey walks one library, wrapped in the few verbs below, through the work
// of an ordinary client. stranger is the same library for a person without a
// grant.
export async function journey(t, client, stranger, patient) {
  await t.test("metadata", async () => {
    const statement = await client.capabilities();
    assert.equal(statement.resourceType, "CapabilityStatement");
    assert.equal(statement.fhirVersion, "4.0.1");
  });

  await t.test("read and search", async () => {
    assert.equal((await client.read("Patient", patient)).id, patient);
    const found = await client.search("Observation", { patient, category: "laboratory", _count: "5" });
    assert.equal(found.type, "searchset");
    assert.ok(found.entry.length > 0 && found.entry.length <= 5);
    for (const { resource } of found.entry) {
      assert.equal(resource.subject.reference, `Patient/${patient}`);
    }
  });

  await t.test("create, update, version, history, delete", async () => {
    const created = await client.create(observation(patient, 70));
    assert.ok(created.id);
    const updated = await client.update({ ...created, valueQuantity: { ...created.valueQuantity, value: 72 } });
    assert.notEqual(updated.meta.versionId, created.meta.versionId);
    assert.equal((await client.read("Observation", created.id)).valueQuantity.value, 72);
    assert.equal((await client.vread("Observation", created.id, created.meta.versionId)).valueQuantity.value, 70);
    assert.equal((await client.history("Observation", created.id)).entry.length, 2);
    await client.remove("Observation", created.id);
    assert.equal(await client.statusOf(() => client.read("Observation", created.id)), 410);
  });

  await t.test("patch", async () => {
    const created = await client.create(observation(patient, 80));
    const patched = await client.patch("Observation", created.id, [
      { op: "replace", path: "/valueQuantity/value", value: 81 },
    ]);
    assert.equal(patched.valueQuantity.value, 81);
  });

  await t.test("transaction", async () => {
    const done = await client.transaction(transaction(patient));
    assert.equal(done.type, "transaction-response");
    assert.deepEqual(done.entry.map((e) => e.response.status.slice(0, 3)), ["201", "201"]);
    const [kind, id] = done.entry[1].response.location.split("/").slice(-4, -2);
    const stored = await client.read(kind, id);
    assert.match(stored.encounter.reference, /^Encounter\//);
  });

  await t.test("everything", async () => {
    const all = await client.everything(patient);
    assert.equal(all.resourceType, "Bundle");
    assert.ok(all.entry.some((e) => e.resource.resourceType === "Patient"));
  });

  await t.test("who has no grant learns nothing", async () => {
    assert.equal(await client.statusOf(() => stranger.read("Patient", patient)), 404);
    assert.equal(await client.statusOf(() => stranger.read("Patient", "no-such-patient")), 404);
  });
}
