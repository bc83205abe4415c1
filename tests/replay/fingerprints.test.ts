import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { type RecordedHistory, useRig } from '../support/rig.ts';
import { fingerprints } from './fingerprint.ts';
import { HISTORIES, historyFile } from './histories.ts';
import { record, SCENARIOS } from './scenarios.ts';

const FINGERPRINTS = 'src/workflows/fingerprints.json';
/** Set by `scripts/record-history.ts` and `scripts/update-fingerprints.ts`. */
const MODE = process.env['NIGHTSHIFT_RECORD'];
/** The one scenario to record: histories of the others stay as they were recorded. */
const ONLY = process.env['NIGHTSHIFT_RECORD_ONLY'];
const rigs = useRig({ decisions: true });

describe('the commands of each workflow type', () => {
  it('are those of src/workflows/fingerprints.json', async () => {
    const recorded: RecordedHistory[] = [];
    const known = new Set<string>();
    for (const scenario of SCENARIOS) {
      const histories = await record(rigs.current, scenario, known);
      recorded.push(...histories);
      if (MODE === 'histories' && (ONLY === undefined || ONLY === scenario.name))
        await keep(scenario.name, histories);
      await rigs.current.endTest();
    }
    const now = fingerprints(recorded);
    if (MODE !== undefined) await writeFile(FINGERPRINTS, `${JSON.stringify(now, null, 2)}\n`);
    const committed: unknown = JSON.parse(await readFile(FINGERPRINTS, 'utf8'));
    // A difference means: open runs may not replay. Guard it with `patched()`, then `npx tsx scripts/update-fingerprints.ts`.
    expect(now).toEqual(committed);
  });
});

async function keep(scenario: string, histories: RecordedHistory[]): Promise<void> {
  if (ONLY === undefined && scenario === SCENARIOS[0]?.name)
    await rm(HISTORIES, { recursive: true, force: true });
  await mkdir(HISTORIES, { recursive: true });
  const types = new Map<string, number>();
  for (const { workflowId, workflowType, history } of histories) {
    const count = (types.get(workflowType) ?? 0) + 1;
    types.set(workflowType, count);
    const name = `${scenario}-${workflowType}${count > 1 ? `-${count}` : ''}.json`;
    await writeFile(join(HISTORIES, name), historyFile({ workflowId, history }));
  }
}
