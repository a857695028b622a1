// fhir-kit-client, the client of many Node integrations.
import { test } from "node:test";
import { Client } from "fhir-kit-client";
import { journey } from "./journey.mjs";
import { Network } from "./network.mjs";

function wrap(base, access) {
  const kit = new Client({ baseUrl: base, bearerToken: access });
  return {
    capabilities: () => kit.capabilityStatement(),
    read: (resourceType, id) => kit.read({ resourceType, id }),
    vread: (resourceType, id, version) => kit.vread({ resourceType, id, version }),
    search: (resourceType, searchParams) => kit.search({ resourceType, searchParams }),
    create: (body) => kit.create({ resourceType: body.resourceType, body }),
    update: (body) => kit.update({ resourceType: body.resourceType, id: body.id, body }),
    patch: (resourceType, id, jsonPatch) => kit.patch({ resourceType, id, jsonPatch }),
    remove: (resourceType, id) => kit.delete({ resourceType, id }),
    history: (resourceType, id) => kit.history({ resourceType, id }),
    transaction: (body) => kit.transaction({ body }),
    everything: (id) => kit.operation({ name: "$everything", resourceType: "Patient", id, method: "GET" }),
    statusOf: (act) => act().then(() => 200, (e) => e.response.status),
  };
}

test("fhir-kit-client", async (t) => {
  const net = await Network.start();
  t.after(() => net.stop());
  await journey(t, wrap(net.base, await net.access("dr-anna")), wrap(net.base, await net.access("dr-ben")), net.patient);
});
