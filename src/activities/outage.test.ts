import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { TASKS } from '../contracts/wire/names.ts';
import { processesOf } from './outage.ts';

describe('processesOf', () => {
  it.each(TASKS)('%s: names the model worker if its workflow waits for one', (task) => {
    // What the workflows really ask for, as recorded from their histories.
    const commands = z
      .record(z.string(), z.array(z.string()))
      .parse(JSON.parse(readFileSync('src/workflows/fingerprints.json', 'utf8')));
    const asksForModels = commands[task]?.some((command) => command.endsWith(' on ml'));
    expect(asksForModels).toBeDefined();
    expect(processesOf(task).includes('ml')).toBe(asksForModels);
    expect(processesOf(task)).toContain('worker');
  });
});
