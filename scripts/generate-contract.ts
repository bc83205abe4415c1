import { mkdirSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { contractFiles } from '../src/contracts/schemas/published.ts';

/**
 * Writes `contract/*.schema.json` from the zod schemas (`npm run contract:generate`, from the project's
 * folder); with `--check` it only compares and exits 1 on a difference.
 */
const folder = join(process.cwd(), 'contract');
const checkOnly = process.argv.includes('--check');
const files = contractFiles();
mkdirSync(folder, { recursive: true });
const present = readdirSync(folder).filter((name) => name.endsWith('.schema.json'));
const stale: string[] = [];
for (const [name, text] of Object.entries(files)) {
  const path = join(folder, name);
  if (present.includes(name) && readFileSync(path, 'utf8') === text) continue;
  stale.push(name);
  if (!checkOnly) writeFileSync(path, text);
}
for (const name of present) {
  if (name in files) continue;
  stale.push(name);
  if (!checkOnly) unlinkSync(join(folder, name));
}
console.log(
  stale.length === 0 ? 'contract is current' : `${checkOnly ? 'stale' : 'written'}: ${stale.join(', ')}`,
);
if (checkOnly && stale.length > 0) process.exitCode = 1;
