// The official WebAssembly build of Cedar decides every request that our keeper's
// code decided, by the same texts and the same schema, and validates every text.
// node compare.mjs CASES
import { readFileSync } from 'node:fs';
import cedar from '@cedar-policy/cedar-wasm/nodejs';

const cases = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const wrong = [];
const must = (answer, what) => {
  if (answer.type !== 'success') throw new Error(`${what}: ${JSON.stringify(answer)}`);
};

must(cedar.preparseSchema('abaton', cases.schema), 'schema');
const verdict = (text) => {
  const answer = cedar.validate({ schema: cases.schema, policies: { staticPolicies: text }, validationSettings: { mode: 'strict' } });
  return answer.type === 'success' && answer.validationErrors.length === 0;
};
cases.texts.forEach((text, i) => {
  must(cedar.preparsePolicySet(String(i), { staticPolicies: text }), `text ${i}`);
  if (!verdict(text)) wrong.push(`text ${i}: valid here, not there`);
});
cases.invalid.forEach((text, i) => {
  if (verdict(text)) wrong.push(`refused text ${i}: valid there, not here`);
});

let permitted = 0;
cases.requests.forEach((q, i) => {
  const answer = cedar.statefulIsAuthorized({
    principal: q.principal, action: q.action, resource: q.resource, context: q.context, entities: q.entities,
    preparsedPolicySetId: String(q.text), preparsedSchemaName: 'abaton', validateRequest: true,
  });
  must(answer, `request ${i}`);
  const { decision, diagnostics } = answer.response;
  const rules = diagnostics.reason.map((id) => Number(id.slice('policy'.length))).sort((a, b) => a - b);
  const ours = q.rules.sort((a, b) => a - b);
  if ((decision === 'allow') !== q.permit || rules.join() !== ours.join() || diagnostics.errors.length !== q.errors) {
    wrong.push(`request ${i}, text ${q.text}: ${decision} by ${rules}, here ${q.permit} by ${ours}`);
  }
  if (q.permit) permitted++;
});

console.log(`cedar-wasm ${cedar.getCedarVersion()}: ${cases.texts.length} texts and ${cases.invalid.length} refused ones validated, ` +
  `${cases.requests.length} requests decided, ${permitted} permitted, ${wrong.length} mismatches`);
if (wrong.length > 0) {
  console.error(wrong.slice(0, 20).join('\n'));
  process.exit(1);
}
