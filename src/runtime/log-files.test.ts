import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import { LogFiles, RotatingFile } from './log-files.ts';
import { formatRecord, newYorkTimestamp, parseLogLine } from './log-record.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nightshift-logs-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const parse = (line: string, source = 'worker-1') => parseLogLine({ line, source, stream: 'stdout' });
const read = (name: string): string => readFileSync(join(folder, name), 'utf8');

describe('lines', () => {
  it('has the form of the documents, in New York time', () => {
    const record = parse(
      '{"time":"2026-01-07T03:45:00.123Z","level":"info","logger":"ingestion","message":"done"}',
    );
    expect(formatRecord(record)).toBe('[2026-01-06 22:45:00,123] ingestion - INFO - done');
  });

  it.each([
    ['2027-03-14T06:59:59.000Z', '2027-03-14 01:59:59,000'],
    ['2027-03-14T07:00:00.000Z', '2027-03-14 03:00:00,000'],
    ['2027-11-07T05:30:00.000Z', '2027-11-07 01:30:00,000'],
    ['2027-11-07T06:30:00.000Z', '2027-11-07 01:30:00,000'],
    ['2027-07-01T04:00:00.000Z', '2027-07-01 00:00:00,000'],
  ])('knows daylight saving: %s is %s', (utc, local) => {
    expect(newYorkTimestamp(new Date(utc))).toBe(local);
  });

  it('keeps what else a process says, and indents further lines', () => {
    const record = parse('{"time":0,"level":"warn","logger":"a","msg":"x\\ny","symbol":"AAPL"}');
    expect(formatRecord(record)).toBe('[1969-12-31 19:00:00,000] a - WARNING - x\n    y {"symbol":"AAPL"}');
  });

  it.each([
    ['LOG:  checkpoint starting', 'INFO', 'checkpoint starting'],
    ['FATAL:  the database system is starting up', 'CRITICAL', 'the database system is starting up'],
    ['WARNING:  x', 'WARNING', 'x'],
    ['Traceback (most recent call last):', 'INFO', 'Traceback (most recent call last):'],
    ['{"not closed', 'INFO', '{"not closed'],
  ])('reads %s', (line, level, message) => {
    expect(parse(line, 'postgres')).toMatchObject({ level, message, logger: 'postgres', task: null });
  });
});

describe('the model worker', () => {
  const cases: { line: Record<string, unknown>; file: string; document: string }[] = JSON.parse(
    readFileSync(join(projectRoot, 'ml', 'tests', 'reference', 'log_lines.json'), 'utf8'),
  );

  it.each(cases)(
    'has its lines written as it writes them on its own: $line.msg',
    ({ line, file, document }) => {
      new LogFiles(folder).write(parse(JSON.stringify(line), 'ml-1'));
      expect(readdirSync(folder)).toEqual([file]);
      expect(read(file)).toBe(`${document}\n`);
    },
  );
});

describe('files', () => {
  it('gives each task its file; servers have their own; the rest is the scheduler', () => {
    const logs = new LogFiles(folder);
    logs.write(parse('{"message":"a","task":"ingestion"}'));
    logs.write(parse('{"message":"b","task":"weeklyMaintenance"}'));
    logs.write(parse('{"message":"c","task":"unknown"}'));
    logs.write(parse('LOG:  d', 'postgres'));
    logs.write(parse('{"msg":"e"}', 'temporal'));
    expect(readdirSync(folder).sort()).toEqual([
      'postgres.log',
      'scheduler.log',
      'task_1_master_market_data_ingestion.log',
      'task_6_weekly_maintenance.log',
      'temporal.log',
    ]);
    expect(read('scheduler.log')).toMatch(/^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] worker-1 - INFO - c\n$/);
  });

  it.each([
    ['one by one', 1],
    ['that come together', 7],
  ])(
    'rotates at the limit and keeps the given number of backups, no line %s cut or lost',
    (_how, together) => {
      const file = new RotatingFile(join(folder, 'x.log'), { maxBytes: 100, backups: 3 });
      const lines = Array.from(
        { length: 50 },
        (_, number) => `line ${String(number).padStart(3, '0')} 0123456789`,
      );
      for (let at = 0; at < lines.length; at += together) file.writeLines(lines.slice(at, at + together));
      expect(readdirSync(folder).sort()).toEqual(['x.log', 'x.log.1', 'x.log.2', 'x.log.3']);
      for (const name of readdirSync(folder))
        expect(statSync(join(folder, name)).size).toBeLessThanOrEqual(100);
      const kept = ['x.log.3', 'x.log.2', 'x.log.1', 'x.log'].map(read).join('');
      const numbers = [...kept.matchAll(/line (\d+)/g)].map(([, number]) => Number(number));
      expect(numbers).toEqual(
        Array.from({ length: numbers.length }, (_, index) => 50 - numbers.length + index),
      );
    },
  );

  it('takes other limits from the next line on', () => {
    const logs = new LogFiles(folder);
    logs.limit({ maxBytes: 300, taskBackups: 1, schedulerBackups: 2 });
    for (let number = 0; number < 20; number += 1) {
      logs.write(parse(`{"message":"${'x'.repeat(200)}","task":"training"}`));
      logs.write(parse(`{"message":"${'x'.repeat(200)}"}`));
    }
    expect(readdirSync(folder).sort()).toEqual([
      'scheduler.log',
      'scheduler.log.1',
      'scheduler.log.2',
      'task_2_training_orchestrator.log',
      'task_2_training_orchestrator.log.1',
    ]);
  });

  it('rotates task files at 10 MB with 5 backups, the scheduler with 10', () => {
    const logs = new LogFiles(folder, { maxBytes: 300 });
    for (let number = 0; number < 60; number += 1) {
      logs.write(parse(`{"message":"${'x'.repeat(200)}","task":"training"}`));
      logs.write(parse(`{"message":"${'x'.repeat(200)}"}`));
    }
    const names = readdirSync(folder);
    expect(names.filter((name) => name.startsWith('task_2_training_orchestrator.log.'))).toHaveLength(5);
    expect(names.filter((name) => name.startsWith('scheduler.log.'))).toHaveLength(10);
  });

  it('goes on after a restart, and after its file was archived and removed', () => {
    new LogFiles(folder).write(parse('{"message":"one"}'));
    const logs = new LogFiles(folder);
    logs.write(parse('{"message":"two"}'));
    expect(read('scheduler.log').split('\n')).toHaveLength(3);
    rmSync(join(folder, 'scheduler.log'));
    logs.write(parse('{"message":"three"}'));
    expect(read('scheduler.log')).toContain('three');
    rmSync(folder, { recursive: true });
    logs.write(parse('{"message":"four"}'));
    expect(read('scheduler.log')).toContain('four');
  });
});
