// Writes cases.json and samples.ndjson from HL7's packages: every invariant
// and every search-parameter expression of R4, and one example resource of
// each type. Run by hand when a definition changes:
//   node extract.mjs DIR_OF_CORE_PACKAGE DIR_OF_EXAMPLES
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [core, examples] = process.argv.slice(2);
const read = (dir, name) => JSON.parse(readFileSync(join(dir, name), 'utf8'));
const names = readdirSync(core).filter(n => n.endsWith('.json')).sort();
const cases = [];
const seen = new Set();
const add = (type, expression, source) => {
  const key = type + '\0' + expression;
  if (seen.has(key)) return;
  seen.add(key);
  cases.push({ type, expression, source });
};

for (const name of names.filter(n => n.startsWith('StructureDefinition-'))) {
  const d = read(core, name);
  if (d.derivation === 'constraint' || d.kind === 'logical' || !d.snapshot) continue;
  for (const e of d.snapshot.element) {
    for (const c of e.constraint ?? []) {
      if (!c.expression || c.expression.includes('htmlChecks') || c.expression.includes('resolve()')) continue;
      if (c.key === 'ele-1' || c.key === 'ext-1') continue; // added once, below
      const here = e.path.split('.')[0];
      if (d.kind === 'resource') {
        if (d.abstract ? c.key.startsWith('dom-') && e.path !== here : c.key.startsWith('dom-')) continue;
        const path = e.path.replace(/\[x\]/g, '');
        add(here, path === here ? c.expression : `${path}.all(${c.expression})`, c.key);
      } else if (e.path === here) {
        add('*', `descendants().ofType(${here}).all(${c.expression})`, c.key);
      }
    }
  }
}
add('*', 'descendants().all(hasValue() or (children().count() > id.count()))', 'ele-1');
add('*', 'descendants().ofType(Extension).all(extension.exists() != value.exists())', 'ext-1');
for (const name of names.filter(n => n.startsWith('SearchParameter-'))) {
  const p = read(core, name);
  if (!p.expression || p.expression.includes('resolve()')) continue;
  for (const base of p.base) {
    const mine = p.expression.split('|').map(s => s.trim()).filter(s => s.replace(/^\(/, '').startsWith(base + '.') || base.endsWith('Resource'));
    if (mine.length > 0) add(base, mine.join(' | '), p.id);
  }
}
writeFileSync('cases.json', '[\n' + cases.map(c => JSON.stringify(c)).join(',\n') + '\n]\n');

const best = new Map();
for (const name of readdirSync(examples).filter(n => n.endsWith('.json')).sort()) {
  const text = JSON.stringify(read(examples, name));
  const type = JSON.parse(text).resourceType;
  if (!type || ['StructureDefinition', 'ValueSet', 'CodeSystem', 'ConceptMap', 'ImplementationGuide'].includes(type) && text.length > 6000) continue;
  const distance = Math.abs(text.length - 2500);
  if (!best.has(type) || distance < best.get(type).distance) best.set(type, { distance, text });
}
writeFileSync('samples.ndjson', [...best.keys()].sort().map(t => best.get(t).text).join('\n') + '\n');
