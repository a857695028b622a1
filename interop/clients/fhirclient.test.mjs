// fhirclient, the SMART client library, with an access value it was given; its
// launch in a browser is in ../smart.
import { test } from "node:test";
import fhirclientNode from "fhirclient";
import { journey } from "./journey.mjs";
import { Network } from "./network.mjs";

// The library wants a request and a place to keep state; a plain client needs
// neither.
const smart = fhirclientNode({ headers: { host: "localhost" }, connection: {} }, {}, {
  get: async () => undefined, set: async () => {}, unset: async () => {},
});

function wrap(base, access) {
  const client = smart.client({ serverUrl: base, tokenResponse: { access_token: access } });
  const send = (method, url, body, type = "application/fhir+json") =>
    client.request({ method, url, body: body && JSON.stringify(body), headers: body ? { "content-type": type } : {} });
  return {
    capabilities: () => client.request("metadata"),
    read: (type, id) => client.request(`${type}/${id}`),
    vread: (type, id, version) => client.request(`${type}/${id}/_history/${version}`),
    search: (type, query) => client.request(`${type}?${new URLSearchParams(query)}`),
    create: (resource) => client.create(resource),
    update: (resource) => client.update(resource),
    patch: (type, id, operations) => client.patch(`${type}/${id}`, operations),
    remove: (type, id) => client.delete(`${type}/${id}`),
    history: (type, id) => client.request(`${type}/${id}/_history`),
    transaction: (bundle) => send("POST", base, bundle),
    everything: (id) => client.request(`Patient/${id}/$everything`),
    statusOf: (act) => act().then(() => 200, (e) => e.status ?? e.statusCode),
  };
}

test("fhirclient", async (t) => {
  const net = await Network.start();
  t.after(() => net.stop());
  await journey(t, wrap(net.base, await net.access("dr-anna")), wrap(net.base, await net.access("dr-ben")), net.patient);
});
