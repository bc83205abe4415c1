import { compileRetryPolicy } from '@temporalio/common';
import { describe, expect, it } from 'vitest';

import { NON_RETRYABLE_TYPES } from '../../contracts/wire/failures.ts';
import {
  activityOptions,
  PRESETS,
  type Preset,
  type PresetName,
  rowsOptions,
  type RowsPresetName,
} from './activity-options.ts';

const MINUTE = 60_000;
/** The documents' timeouts of the six tasks. */
const timeouts = [30, 120, 60, 90, 45, 30].map((minutes) => minutes * MINUTE);
const names = Object.keys(PRESETS).filter((name): name is PresetName => name in PRESETS);
const isOfRows = (name: PresetName): name is RowsPresetName => PRESETS[name].kind === 'local';
/** The share of a workflow task's 10 s after which the worker asks for another. */
const PATIENCE_OF_A_TASK_MS = 8_000;

describe.each(names)('preset %s', (name) => {
  const preset: Preset = PRESETS[name];
  // A second too: tests and impatient people set short timeouts.
  it.each([...timeouts, 1000])('bounds every activity of a task of %i ms', (timeout) => {
    const options = isOfRows(name) ? rowsOptions(name, timeout).patient : activityOptions(name, timeout);
    expect(options.startToCloseTimeout).toBeGreaterThan(0);
    expect(options.scheduleToCloseTimeout).toBeGreaterThanOrEqual(options.startToCloseTimeout);
    expect(options.scheduleToCloseTimeout).toBeLessThanOrEqual(timeout);
    expect(options.retry.nonRetryableErrorTypes).toEqual(expect.arrayContaining(NON_RETRYABLE_TYPES));
    expect(() => compileRetryPolicy(options.retry)).not.toThrow();
    const heartbeat = 'heartbeatTimeout' in options ? options.heartbeatTimeout : undefined;
    if (options.startToCloseTimeout > MINUTE) expect(heartbeat).toBeLessThanOrEqual(MINUTE);
    if (!isOfRows(name)) return;
    expect(options.startToCloseTimeout).toBeLessThanOrEqual(MINUTE / 2);
    const { quick } = rowsOptions(name, timeout);
    expect(quick.scheduleToCloseTimeout).toBeLessThanOrEqual(Math.min(timeout, PATIENCE_OF_A_TASK_MS / 2));
    expect(quick).not.toHaveProperty('startToCloseTimeout');
  });

  it('ends some day, by attempts or by time', () => {
    if (preset.retry.maximumAttempts === null) expect(preset.totalMs).not.toBe(Number.POSITIVE_INFINITY);
    else expect(preset.retry.maximumAttempts).toBeLessThanOrEqual(10);
    if (preset.kind === 'activity') expect(preset.retry.maximumAttempts).not.toBeNull();
    expect(preset.retry.maximumIntervalMs).toBeGreaterThanOrEqual(preset.retry.initialIntervalMs);
  });
});
