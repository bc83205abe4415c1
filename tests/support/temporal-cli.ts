import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { temporalBinary } from '../../src/runtime/temporal.ts';
import { testTemporal } from './env.ts';

const run = promisify(execFile);

/** The real `temporal` command line on a namespace of the test server; returns what it printed. */
export function temporalCli(namespace: string): (...args: string[]) => Promise<string> {
  const where = ['--address', testTemporal().address, '--namespace', namespace];
  return async (...args) => {
    const own = ['--disable-config-file', '--disable-config-env', '--color', 'never'];
    const { stdout } = await run(await temporalBinary(), [...args, ...where, ...own]);
    return stdout;
  };
}
