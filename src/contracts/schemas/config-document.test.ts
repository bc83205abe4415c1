import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { documentOf } from './config-document.ts';
import { parseConfigFile } from './config-file.ts';

const shipped: unknown = JSON.parse(readFileSync('config/scheduler_config.json', 'utf8'));
const changed = {
  global_settings: { timezone: 'Europe/Berlin', job_defaults: { misfire_grace_time: null } },
  scheduled_tasks: [
    { task_id: 1, schedule: { hour: 23, minute: 5, day_of_week: 'mon-fri' }, timeout_minutes: 0.5 },
    { task_id: 2, max_retries: 4, retry_on_failure: true, name: 'Ours' },
    { task_id: 4, enabled: false, retry_on_failure: false },
  ],
  nightshift: { universe: 'tiny', universes: { tiny: { drift: { bins: 5 } } } },
};

describe('a stored configuration as a document', () => {
  it.each([
    ['the shipped one', shipped],
    ['one with changes', changed],
  ])('%s means the same when it is read again', (_name, document) => {
    const { warnings: _ours, ...file } = parseConfigFile(document);
    const { warnings: _theirs, ...again } = parseConfigFile(documentOf({ ...file, warnings: [] }));
    expect(again).toEqual(file);
  });
});
