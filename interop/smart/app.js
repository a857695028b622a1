// A small SMART app, as fhirclient's documentation writes one. It shows what it
// got as JSON, for the test to read; the patients are synthetic.
const show = (value) => { document.getElementById("out").textContent = JSON.stringify(value); };

async function read(client) {
  const patient = await client.patient.read();
  const observations = await client.patient.request("Observation?_count=5", { pageLimit: 2, flat: true });
  const refused = await client.request("Condition?patient=" + client.patient.id).then(() => 200, (e) => e.statusCode || e.status);
  const before = client.getState("tokenResponse.access_token");
  await client.refresh();
  const renewed = client.getState("tokenResponse.access_token") !== before;
  const again = await client.patient.read();
  return {
    patient: patient.resourceType, same: again.id === client.patient.id && patient.id === again.id,
    observations: observations.length, refused, renewed,
    who: client.getFhirUser(), whoType: client.getUserType(), scope: client.getState("tokenResponse.scope"),
    pkce: Boolean(client.getState("codeVerifier")), type: client.getState("tokenResponse.token_type"),
  };
}

const query = new URLSearchParams(location.search);
if (location.pathname === "/launch") {
  const scope = "launch/patient openid fhirUser online_access patient/Patient.r patient/Observation.rs";
  const scopes = query.get("launch") ? scope.replace("launch/patient", "launch") : scope;
  FHIR.oauth2.authorize({ clientId: "sample", scope: scopes, redirectUri: "/back", iss: query.get("iss"), pkceMode: "required" })
    .catch((e) => show({ failed: "authorize: " + e.message }));
} else {
  FHIR.oauth2.ready().then(read).then(show, (e) => show({ failed: "ready: " + e.message }));
}
