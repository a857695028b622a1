// Scripted journeys of fhir-kit-client and @medplum/core against a live network:
// five keepers, a gateway, sample patients (synthetic). Each reads the
// CapabilityStatement, creates, reads, searches over pages, updates with
// If-Match (and is refused with an old one), reads history, sends a
// transaction, deletes, and finds it gone.
//
//   make build && cd interop/clients && npm ci && npm test
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { MedplumClient } from "@medplum/core";
import { Client as FhirKit } from "fhir-kit-client";

const abaton = process.env.ABATON ?? join(dirname(fileURLToPath(import.meta.url)), "../../bin/abaton");
const handle = "patient-8a4c9c04";
const work = await mkdtemp(join(tmpdir(), "abaton-clients-"));
const dir = join(work, "net");
const run = async (...args) => (await promisify(execFile)(abaton, [...args, "--dir", dir])).stdout;

async function up() {
  const network = spawn(abaton, ["up", "--dir", dir], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  await new Promise((done, failed) => {
    network.stdout.on("data", (text) => { said += text; if (said.includes("In another terminal")) done(); });
    network.stderr.on("data", (text) => { said += text; });
    network.on("exit", (code) => failed(new Error(`abaton up ended with ${code}: ${said}`)));
  });
  network.removeAllListeners("exit");
  return network;
}

const observation = (patient, status) => ({
  resourceType: "Observation", status, code: { text: "interop" }, subject: { reference: `Patient/${patient}` },
});

const transaction = (patient) => ({
  resourceType: "Bundle", type: "transaction",
  entry: [
    { fullUrl: "urn:uuid:6f0e0d0a-5c1e-4d5c-9a52-2b8f4c0f1a01", request: { method: "POST", url: "Encounter" },
      resource: { resourceType: "Encounter", status: "finished", class: { code: "AMB" }, subject: { reference: `Patient/${patient}` } } },
    { request: { method: "POST", url: "Observation" },
      resource: { ...observation(patient, "final"), encounter: { reference: "urn:uuid:6f0e0d0a-5c1e-4d5c-9a52-2b8f4c0f1a01" } } },
  ],
});

const status = (promise) => promise.then(() => 200, (e) => e.response?.status ?? e.status ?? e.outcome?.id ?? String(e));

async function kit(base, access, patient) {
  const client = new FhirKit({ baseUrl: base, bearerToken: access });
  const capability = await client.capabilityStatement();
  assert.equal(capability.fhirVersion, "4.0.1");
  const made = await client.create({ resourceType: "Observation", body: observation(patient, "preliminary") });
  assert.equal((await client.read({ resourceType: "Observation", id: made.id })).status, "preliminary");
  const tag = `W/"${made.meta.versionId}"`;
  const next = { ...made, status: "final" };
  const updated = await client.update({ resourceType: "Observation", id: made.id, body: next, options: { headers: { "If-Match": tag } } });
  assert.notEqual(updated.meta.versionId, made.meta.versionId);
  assert.equal(await status(client.update({ resourceType: "Observation", id: made.id, body: next, options: { headers: { "If-Match": tag } } })), 412);
  assert.equal((await client.vread({ resourceType: "Observation", id: made.id, version: made.meta.versionId })).status, "preliminary");
  assert.equal((await client.history({ resourceType: "Observation", id: made.id })).total, 2);
  let page = await client.search({ resourceType: "Observation", searchParams: { patient, _count: 10 } });
  const total = page.total;
  let seen = 0;
  for (; page; page = await client.nextPage({ bundle: page })) seen += page.entry?.length ?? 0;
  assert.equal(seen, total);
  const posted = await client.search({ resourceType: "Observation", searchParams: { patient, _id: made.id }, options: { postSearch: true } });
  assert.equal(posted.total, 1);
  const done = await client.transaction({ body: transaction(patient) });
  assert.deepEqual(done.entry.map((e) => e.response.status.slice(0, 3)), ["201", "201"]);
  const [type, id] = done.entry[1].response.location.split("/");
  assert.match((await client.read({ resourceType: type, id })).encounter.reference, /^Encounter\//);
  await client.delete({ resourceType: "Observation", id: made.id });
  assert.equal(await status(client.read({ resourceType: "Observation", id: made.id })), 410);
  assert.equal(await status(client.read({ resourceType: "Observation", id: "no-such-id" })), 404);
  const everything = await client.operation({ resourceType: "Patient", id: patient, name: "everything", method: "GET" });
  assert.ok(everything.total > total);
  return { observations: total, everything: everything.total };
}

async function medplum(base, access, patient) {
  const client = new MedplumClient({ baseUrl: `${base}/`, fhirUrlPath: "", accessToken: access, fetch });
  const capability = await client.get(`${base}/metadata`);
  assert.equal(capability.resourceType, "CapabilityStatement");
  const made = await client.createResource(observation(patient, "preliminary"));
  assert.equal((await client.readResource("Observation", made.id)).status, "preliminary");
  const updated = await client.updateResource({ ...made, status: "final" });
  assert.equal(updated.status, "final");
  assert.equal((await client.readHistory("Observation", made.id)).total, 2);
  assert.equal((await client.readVersion("Observation", made.id, made.meta.versionId)).status, "preliminary");
  const found = await client.searchResources("Observation", { patient, _id: made.id });
  assert.equal(found.length, 1);
  let seen = 0;
  for await (const page of client.searchResourcePages("Observation", { patient, _count: 10 })) seen += page.length;
  const { total } = await client.search("Observation", { patient, _count: 1 });
  assert.equal(seen, total);
  const done = await client.executeBatch(transaction(patient));
  assert.equal(done.type, "transaction-response");
  await client.deleteResource("Observation", made.id);
  client.invalidateAll();
  assert.notEqual(await status(client.readResource("Observation", made.id)), 200);
  return { observations: total };
}

let network;
try {
  network = await up();
  const base = `http://${JSON.parse(await readFile(join(dir, "network.json"))).gateway.listen}`;
  await run("login", "--as", "dr-anna");
  const access = (await readFile(join(dir, "people/dr-anna/access"), "utf8")).trim();
  const listed = await run("record", "list", "--as", handle);
  const patient = /^Patient\/(\S+)/m.exec(listed)[1];
  for (const [name, journey] of Object.entries({ "fhir-kit-client": kit, "@medplum/core": medplum })) {
    console.log(name, JSON.stringify(await journey(base, access, patient)));
  }
  console.log("ok");
} finally {
  if (network) {
    network.kill("SIGINT");
    await new Promise((done) => network.on("exit", done));
  }
  await rm(work, { recursive: true, force: true });
}
