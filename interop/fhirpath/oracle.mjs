// Evaluates every case over every sample with fhirpath.js and writes
// oracle.ndjson: [sample, case, result], results as JSON. What fhirpath.js
// itself cannot evaluate is left out and counted.
import { readFileSync, writeFileSync } from 'node:fs';
import fhirpath from 'fhirpath';
import r4 from 'fhirpath/fhir-context/r4/index.js';

const cases = JSON.parse(readFileSync('cases.json', 'utf8'));
const samples = readFileSync('samples.ndjson', 'utf8').trim().split('\n').map(s => JSON.parse(s));
const compiled = cases.map(c => {
  try { return fhirpath.compile(c.expression, r4); } catch { return null; }
});
const domain = t => !['Bundle', 'Binary', 'Parameters'].includes(t);
const lines = [];
let failed = 0;
console.debug = console.log = () => {}; // trace() would print
samples.forEach((resource, s) => {
  cases.forEach((c, n) => {
    const type = resource.resourceType;
    if (c.type !== '*' && c.type !== type && c.type !== 'Resource' && !(c.type === 'DomainResource' && domain(type))) return;
    try {
      const out = compiled[n](resource, { resource, rootResource: resource, context: resource });
      lines.push(JSON.stringify([s, n, out]));
    } catch {
      failed++;
    }
  });
});
writeFileSync('oracle.ndjson', lines.join('\n') + '\n');
process.stderr.write(`${lines.length} results, ${failed} that fhirpath.js does not give\n`);
