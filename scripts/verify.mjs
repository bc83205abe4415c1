// Fast checks before a commit: format, lint with layer rules, types, unused code, Python lint and types, unit tests.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { projectRoot, venvPython } from './lib/paths.mjs';

const bin = (name) => join(projectRoot, 'node_modules', '.bin', name);
const python = venvPython();
const ml = join(projectRoot, 'ml');
// With the settings of ml/pyproject.toml.
const ruff = ['-m', 'ruff', '--config', 'pyproject.toml'];
const pythonFolders = ['.', '../bench', '../deploy', '../scripts/data', '../tests/support'];
const lanes = [
  [
    { name: 'format', command: bin('biome'), args: ['format', '.'] },
    { name: 'lint', command: bin('oxlint'), args: ['--type-aware'] },
    { name: 'types', command: bin('tsc'), args: ['--noEmit'] },
    { name: 'types in the browser', command: bin('tsc'), args: ['--noEmit', '-p', 'src/dashboard/client'] },
    { name: 'unused code', command: bin('knip'), args: [] },
    {
      name: 'python format',
      command: python,
      args: [...ruff, 'format', '--check', ...pythonFolders],
      cwd: ml,
    },
    { name: 'python lint', command: python, args: [...ruff, 'check', ...pythonFolders], cwd: ml },
    { name: 'python types', command: python, args: ['-m', 'mypy', ...pythonFolders], cwd: ml },
  ],
  [{ name: 'unit tests', command: bin('vitest'), args: ['run', '--project', 'unit'] }],
];

/** Runs one check quietly; its output is printed only when it fails. */
function check({ name, command, args, cwd = projectRoot }) {
  return new Promise((resolve) => {
    const startedAt = Date.now();
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    const done = (ok) => {
      console.log(`${ok ? 'ok  ' : 'FAIL'} ${name} (${((Date.now() - startedAt) / 1000).toFixed(1)} s)`);
      if (!ok) console.log(output);
      resolve(ok);
    };
    child.once('error', (error) => {
      output += error.message;
      done(false);
    });
    child.once('exit', (code) => done(code === 0));
  });
}

const startedAt = Date.now();
const outcomes = await Promise.all(
  lanes.map(async (lane) => {
    const results = [];
    for (const step of lane) results.push(await check(step));
    return results;
  }),
);
const ok = outcomes.flat().every(Boolean);
console.log(`${ok ? 'verified' : 'not verified'} in ${((Date.now() - startedAt) / 1000).toFixed(1)} s`);
process.exitCode = ok ? 0 : 1;
