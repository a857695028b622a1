// @medplum/core's MedplumClient, pointed at a server that is not Medplum's.
import { test } from "node:test";
import { MedplumClient } from "@medplum/core";
import { journey } from "./journey.mjs";
import { Network } from "./network.mjs";

function wrap(base, access) {
  const medplum = new MedplumClient({ baseUrl: base + "/", fhirUrlPath: "", accessToken: access, cacheTime: 0, fetch });
  const url = (...parts) => medplum.fhirUrl(...parts);
  return {
    capabilities: () => medplum.get(url("metadata")),
    read: (type, id) => medplum.readResource(type, id),
    vread: (type, id, version) => medplum.readVersion(type, id, version),
    search: (type, query) => medplum.search(type, query),
    create: (resource) => medplum.createResource(resource),
    update: (resource) => medplum.updateResource(resource),
    patch: (type, id, operations) => medplum.patchResource(type, id, operations),
    remove: (type, id) => medplum.deleteResource(type, id),
    history: (type, id) => medplum.readHistory(type, id),
    transaction: (bundle) => medplum.executeBatch(bundle),
    everything: (id) => medplum.readPatientEverything(id),
    statusOf: (act) => act().then(() => 200, (e) => statuses[e.outcome?.issue?.[0]?.code] ?? 500),
  };
}

// The library shows an OperationOutcome in place of the status.
const statuses = { "not-found": 404, deleted: 410 };

test("@medplum/core", async (t) => {
  const net = await Network.start();
  t.after(() => net.stop());
  await journey(t, wrap(net.base, await net.access("dr-anna")), wrap(net.base, await net.access("dr-ben")), net.patient);
});
