import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readWorkerEnv } from '../runtime/env.ts';
import { createJsonLogger } from './json-log.ts';
import { openOwnLogFiles } from './own-log-files.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nightshift-own-logs-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

describe('log files of a worker on its own', () => {
  it('have each line it prints, in the file of its task', () => {
    const printed = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    const problems: string[] = [];
    const own = join(folder, 'worker-2');
    const files = openOwnLogFiles({
      folder: own,
      source: 'worker-2',
      onProblem: (text) => problems.push(text),
    });
    const logger = createJsonLogger(files);
    logger.info('fitFold started', { workflowType: 'training', attempt: 1 });
    logger.error('gone', { error: new Error('no such row') });
    expect(printed.mock.calls.map(([line]) => JSON.parse(String(line)).msg)).toEqual([
      'fitFold started',
      'gone',
    ]);
    expect(readdirSync(own).sort()).toEqual(['scheduler.log', 'task_2_training_orchestrator.log']);
    expect(readFileSync(join(own, 'task_2_training_orchestrator.log'), 'utf8')).toMatch(
      /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] nightshift\.worker - INFO - fitFold started \{.*"attempt":1.*\}\n$/,
    );
    expect(readFileSync(join(own, 'scheduler.log'), 'utf8')).toContain('- ERROR - gone {"error":{');
    expect(problems).toEqual([]);
  });

  it('that cannot be written are said once, and again after they could be', () => {
    const problems: string[] = [];
    const own = join(folder, 'worker-1');
    writeFileSync(own, 'in the way');
    const write = openOwnLogFiles({
      folder: own,
      source: 'worker-1',
      onProblem: (text) => problems.push(text),
    });
    write('{"msg":"one"}');
    write('{"msg":"two"}');
    expect(problems).toHaveLength(1);
    rmSync(own);
    write('{"msg":"three"}');
    expect(readFileSync(join(own, 'scheduler.log'), 'utf8')).toContain('three');
    rmSync(own, { recursive: true });
    writeFileSync(own, 'in the way again');
    write('{"msg":"four"}');
    expect(problems).toHaveLength(2);
  });

  it.each([
    ['none is named', {}, null],
    [
      'the runtime that started it writes them',
      { NIGHTSHIFT_LOG_DIR: '/logs', NIGHTSHIFT_PARENT_PID: '7' },
      null,
    ],
    ['by its name', { NIGHTSHIFT_LOG_DIR: '/logs', NIGHTSHIFT_WORKER_NAME: 'desk-1' }, '/logs/desk-1'],
    [
      'one folder, whatever the name',
      { NIGHTSHIFT_LOG_DIR: '/logs', NIGHTSHIFT_WORKER_NAME: '../é/x' },
      '/logs/____x',
    ],
    ['by its host', { NIGHTSHIFT_LOG_DIR: '/logs' }, expect.stringMatching(/^\/logs\/worker-./)],
  ])('where they are: %s', (_why, given, expected) => {
    const url = 'postgres://a:b@127.0.0.1:1/c';
    const env = readWorkerEnv({
      ARTIFACT_URL: 'file:///artifacts',
      NIGHTSHIFT_DB_URL_INGEST: url,
      NIGHTSHIFT_DB_URL_PIPELINE: url,
      NIGHTSHIFT_DB_URL_MAINTENANCE: url,
      NIGHTSHIFT_DB_URL_API: url,
      ...given,
    });
    expect(env.ownLogFolder).toEqual(expected);
  });
});
