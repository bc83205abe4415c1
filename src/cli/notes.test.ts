import { describe, expect, it } from 'vitest';
import { createNotes, readableNote } from './notes.ts';

describe('readableNote', () => {
  it('keeps the news and the serious last words, not the log of the machine', () => {
    const info = JSON.stringify({ level: 'INFO', msg: 'fitFold mlp block 0 done in 0.01 s' });
    const error = JSON.stringify({ level: 'ERROR', msg: 'out of memory' });
    const text = `ml-1: it ended with code 137; restart 1 of 5 in 200 ms\n  ${info}\n  ${error}\n  Killed`;
    expect(readableNote(text)).toEqual([
      'ml-1: it ended with code 137; restart 1 of 5 in 200 ms',
      '  out of memory',
      '  Killed',
    ]);
  });

  it('leaves other notes as they are, and shows what only looks like a log line', () => {
    expect(readableNote('Postgres is ready (1.2 s)')).toEqual(['Postgres is ready (1.2 s)']);
    expect(readableNote('x\n  {broken')).toEqual(['x', '  {broken']);
  });
});

describe('createNotes', () => {
  it('goes where it is diverted', () => {
    const said: string[][] = [];
    const notes = createNotes();
    notes.divert((lines) => said.push(lines));
    notes.note('one');
    expect(said).toEqual([['one']]);
  });
});
