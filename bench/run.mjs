// Runs a benchmark: `node bench/run.mjs NAME [options]` bundles and runs bench/NAME.ts.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { projectRoot } from '../scripts/lib/paths.mjs';

const [name, ...options] = process.argv.slice(2);
const folder = join(projectRoot, 'bench');
if (!name || !existsSync(join(folder, `${name}.ts`))) {
  console.error('usage: node bench/run.mjs NAME [options], where bench/NAME.ts exists');
  process.exit(2);
}
const outfile = join(projectRoot, 'dist', 'bench', `${name}.mjs`);
await build({
  entryPoints: [join(folder, `${name}.ts`)],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  packages: 'external',
  sourcemap: 'inline',
  logLevel: 'warning',
});
const child = spawn(process.execPath, [outfile, ...options], { stdio: 'inherit', cwd: projectRoot });
child.once('exit', (code) => {
  process.exitCode = code ?? 1;
});
