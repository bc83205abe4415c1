import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkSymbolsKnown,
  membersAsOf,
  parseUniverse,
  UniverseError,
  universeVersionOf,
} from './universe.ts';

const problemsOf = (text: string, source = 'my.json'): readonly string[] => {
  try {
    parseUniverse({ text, source });
  } catch (error) {
    if (error instanceof UniverseError) return error.problems;
    throw error;
  }
  return [];
};

describe('parseUniverse', () => {
  it('reads an object, an array and plain text the same way', () => {
    const expected = ['A', 'BRK.B', 'MSFT'];
    const object = parseUniverse({
      text: '{"name":"three","symbols":["MSFT","A","BRK.B"]}',
      source: 'x.json',
    });
    expect(object).toEqual({
      name: 'three',
      description: '',
      survivorship: 'unknown',
      symbols: expected,
    });
    expect(parseUniverse({ text: '["MSFT","A","BRK.B"]', source: 'x.json' }).symbols).toEqual(expected);
    const text = parseUniverse({
      text: '# mine\nMSFT, A\r\n\nBRK.B # class B\n',
      source: '/tmp/my list.txt',
    });
    expect(text.symbols).toEqual(expected);
    expect(text.name).toBe('my-list');
  });

  it('lists every problem with its place', () => {
    expect(problemsOf('["A","aapl","A",7,"TOOLONGNAME"]')).toEqual([
      'symbols[3] is not a string',
      'symbols[1]: "aapl" is not a symbol (did you mean AAPL?)',
      'symbols[2]: A is there already (symbols[0])',
      'symbols[4]: "TOOLONGNAME" is not a symbol',
    ]);
    expect(problemsOf('A\nB B\n', 'x.txt')).toEqual(['line 2: B is there already (line 2)']);
  });

  it.each([
    ['', 'the file is empty'],
    ['# nothing\n', 'there are no symbols in it'],
    ['[]', 'there are no symbols in it'],
    ['{"symbols":"A"}', '"symbols" must be a list of symbols'],
    ['{"symbols":["A"],"sybmols":1}', 'unknown key "sybmols"'],
    [
      '{"symbols":["A"],"maxSessions":300}',
      '"maxSessions" is no part of a universe: set historySessions for it in the configuration',
    ],
    ['{"symbols":["A"],"survivorship":"good"}', 'survivorship must be biased, unbiased or unknown'],
    ['{"symbols":["A"],"schemaVersion":2}', 'schemaVersion 2 is not 1'],
    ['{"symbols":["A"],"name":"a b"}', 'name "a b" must be letters'],
    ['{"symbols":["A"', 'not JSON'],
  ])('refuses %s', (text, problem) => {
    expect(problemsOf(text).join('\n')).toContain(problem);
  });
});

describe('members', () => {
  it('names symbols the data does not have', () => {
    const known = ['A', 'BRK.B'];
    expect(() => checkSymbolsKnown({ source: 'x', symbols: ['A'], known })).not.toThrow();
    expect(() => checkSymbolsKnown({ source: 'x', symbols: ['BRK-B', 'ZZZ'], known })).toThrow(
      'universe x: BRK-B is not in the data (did you mean BRK.B?); ZZZ is not in the data',
    );
  });

  it('takes a symbol in from its first session on', () => {
    const firstSessions = new Map([
      ['A', '2013-02-08'],
      ['PYPL', '2015-07-06'],
    ]);
    const at = (session: string) => membersAsOf({ symbols: ['A', 'PYPL', 'ZZZ'], firstSessions, session });
    expect(at('2015-07-02')).toEqual(['A']);
    expect(at('2015-07-06')).toEqual(['A', 'PYPL']);
  });

  it('has a version that depends on the members only', () => {
    const symbol = fc.stringMatching(/^[A-Z]{1,5}$/);
    fc.assert(
      fc.property(fc.uniqueArray(symbol, { minLength: 1 }), (symbols) => {
        const version = universeVersionOf(symbols);
        expect(version).toMatch(/^[0-9a-f]{64}$/);
        expect(universeVersionOf([...symbols].reverse())).toBe(version);
        expect(universeVersionOf([...symbols, 'QQQQQQ'])).not.toBe(version);
      }),
    );
  });
});
