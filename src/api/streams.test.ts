import { get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { z } from '@hono/zod-openapi';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { ApiEnv } from './deps.ts';
import { batchesOf, type KeyedList, keyIn, keyText, readKeyPage } from './key-pages.ts';
import { Problem } from './problems.ts';
import { columnsOf, csvLine, formatOf, streamItems } from './streams.ts';

const schema = z.object({
  symbol: z.string(),
  words: z.string().nullable(),
  outcome: z.object({ forwardReturn: z.number().nullable(), at: z.string() }).nullable(),
  reasons: z.array(z.object({ feature: z.string() })),
});
type Item = z.infer<typeof schema>;

function item(index: number): Item {
  return {
    symbol: `S${String(index).padStart(4, '0')}`,
    words: null,
    outcome: { forwardReturn: 0.1 + 0.2, at: '2018-02-07T23:00:00.000Z' },
    reasons: [],
  };
}

/** Rows in memory as a list. */
function listOf(rows: readonly Item[]): KeyedList<Item, readonly [string]> {
  return {
    read: async (after, limit) =>
      rows.filter(({ symbol }) => after === null || symbol > after[0]).slice(0, limit),
    keyOf: ({ symbol }) => [symbol],
  };
}

describe('CSV', () => {
  it('has the fields of the schema, those of objects too, whatever the rows are', () => {
    expect(columnsOf(schema)).toEqual(['symbol', 'words', 'outcome.forwardReturn', 'outcome.at', 'reasons']);
  });

  it('quotes where it must, keeps every digit and leaves nulls empty', () => {
    const columns = columnsOf(schema);
    expect(csvLine(item(1), columns)).toBe('S0001,,0.30000000000000004,2018-02-07T23:00:00.000Z,[]');
    const quoted = { symbol: 'A', words: 'a "b",\nc', outcome: null, reasons: [{ feature: 'x' }] };
    expect(csvLine(quoted, columns)).toBe('A,"a ""b"",\nc",,,"[{""feature"":""x""}]"');
  });

  it('is no formula for a spreadsheet where a text begins like one, and keeps numbers as they are', () => {
    const line = (words: unknown): string => csvLine({ words }, ['words']);
    for (const text of ['=1+1', '+A1', '-A1', '@SUM(A1)', '\tx', '-', '-1+2', '+1e', '=', '-1-'])
      expect(line(text), text).toBe(`'${text}`);
    expect(line('\r=1')).toBe(`"'\r=1"`);
    expect(line('=HYPERLINK("http://x";"y")')).toBe(`"'=HYPERLINK(""http://x"";""y"")"`);
    for (const text of ['-0.5', '+3', '-1e-9', '+.5', 'a=b', "'=1", '2018-02-07', '^GSPC', ''])
      expect(line(text), text).toBe(text);
    for (const number of [-0.5, -1e-9, -1, 0, 1.5]) expect(line(number)).toBe(String(number));
    const objects = csvLine({ a: ['=1'] }, ['a']);
    expect(objects).toBe('"[""=1""]"');
  });
});

afterEach(() => void vi.restoreAllMocks());

describe('a stream', () => {
  const reads: number[] = [];
  function api(options: { rows: number; failsAfter?: number; stallMs?: number }) {
    reads.length = 0;
    const logged: string[] = [];
    const app = new Hono<ApiEnv>();
    app.onError((_error, c) => c.text('', 500));
    app.get('/rows', async (c) => {
      const format = formatOf(c, undefined);
      if (format === 'json') return c.json({ format });
      const rows = Array.from({ length: options.rows }, (_, index) => item(index));
      const list = listOf(rows);
      const read: typeof list.read = async (after, limit) => {
        if (reads.length >= (options.failsAfter ?? Number.POSITIVE_INFINITY)) {
          // What came before it is out by then.
          await sleep(20);
          throw new Error('lost');
        }
        reads.push(limit);
        return await list.read(after, limit);
      };
      const log = (_level: string, message: string): void => void logged.push(message);
      const batches = batchesOf({ ...list, read }, null, 10);
      const { stallMs = 60_000 } = options;
      return await streamItems(c, { format, schema, name: 'a b/c', batches, log, stallMs });
    });
    return { app, logged };
  }
  const ask = (app: Hono<ApiEnv>, accept: string) => app.request('/rows', { headers: { accept } });

  it('has every row once, in batches', async () => {
    const { app } = api({ rows: 25 });
    const response = await ask(app, 'text/csv');
    expect(response.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    expect(response.headers.get('content-disposition')).toBe('attachment; filename="a_b_c.csv"');
    const lines = (await response.text()).split('\r\n');
    expect(lines).toHaveLength(27);
    expect(lines[0]).toBe('symbol,words,outcome.forwardReturn,outcome.at,reasons');
    expect(new Set(lines).size).toBe(27);
    expect(reads).toEqual([10, 10, 10]);
    const objects = (await (await ask(app, 'application/x-ndjson')).text()).trim().split('\n');
    expect(objects.map((line) => JSON.parse(line) as unknown)).toEqual(
      Array.from({ length: 25 }, (_, index) => item(index)),
    );
  });

  it('reads no further than its client, and stops when that goes', async () => {
    const { app } = api({ rows: 1_000 });
    const response = await ask(app, 'text/csv');
    expect(reads).toHaveLength(1);
    const reader = response.body?.getReader();
    await reader?.read();
    expect(reads.length).toBeLessThanOrEqual(2);
    await reader?.cancel();
    expect(reads.length).toBeLessThanOrEqual(2);
  });

  it('without rows has its columns, and is JSON for who asks for nothing else', async () => {
    const { app } = api({ rows: 0 });
    expect(await (await ask(app, 'text/csv')).text()).toBe(
      'symbol,words,outcome.forwardReturn,outcome.at,reasons\r\n',
    );
    expect(await (await ask(app, 'application/x-ndjson')).text()).toBe('');
    for (const accept of ['*/*', 'image/png', 'application/json, text/csv;q=0.5'])
      expect(await (await ask(app, accept)).json()).toEqual({ format: 'json' });
  });

  it('that fails before its first row is an error, and one that fails later breaks off', async () => {
    const none = api({ rows: 100, failsAfter: 0 });
    expect((await ask(none.app, 'text/csv')).status).toBe(500);
    const some = api({ rows: 100, failsAfter: 2 });
    // Not in its own words, which would go to the client.
    await expect((await ask(some.app, 'text/csv')).text()).rejects.toThrow(/^the stream broke$/);
    expect(some.logged).toEqual(['a stream broke']);
  });

  it('that breaks cuts its connection: no words of the server reach its client or the terminal', async () => {
    const said = [vi.spyOn(console, 'error'), vi.spyOn(console, 'info')];
    const { app, logged } = api({ rows: 100, failsAfter: 2 });
    const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 });
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const headers = { accept: 'text/csv' };
    let text = '';
    const end = await new Promise((resolve) => {
      get({ port, path: '/rows', headers, agent: false }, (response) => {
        response.on('data', (part: Buffer) => void (text += part.toString()));
        response.on('error', resolve);
        response.on('end', () => resolve('a whole'));
      });
    });
    expect(end).toMatchObject({ code: 'ECONNRESET' });
    expect(text.split('\r\n')).toHaveLength(22);
    expect(text).not.toMatch(/error|broke/i);
    expect(logged).toEqual(['a stream broke']);
    await new Promise((resolve) => server.close(resolve));
    for (const spy of said) expect(spy).not.toHaveBeenCalled();
  });

  it('that nobody reads any more is broken off', async () => {
    const { app, logged } = api({ rows: 1_000, stallMs: 20 });
    const reader = (await ask(app, 'text/csv')).body?.getReader();
    await reader?.read();
    await expect.poll(() => logged).toEqual(['a stream broke']);
    await expect(reader?.read()).rejects.toThrow('the stream broke');
    expect(reads).toHaveLength(1);
  });
});

describe('a page', () => {
  const rows = Array.from({ length: 7 }, (_, index) => item(index));
  const list = listOf(rows);
  const keySchema = z.tuple([z.string().regex(/^S\d{4}$/)]);

  it('goes on where the one before ended, and the last has no token', async () => {
    const seen: string[] = [];
    let token: string | undefined;
    do {
      const page = await readKeyPage(list, { after: keyIn(token, keySchema), limit: 3 });
      seen.push(...page.rows.map(({ symbol }) => symbol));
      token = page.nextPageToken ?? undefined;
    } while (token !== undefined);
    expect(seen).toEqual(rows.map(({ symbol }) => symbol));
    const all = await readKeyPage(list, { after: null, limit: 7 });
    expect(all.nextPageToken).toBeNull();
  });

  it.each(['', 'zzz', keyText(['S0001', 2]), keyText(['S0001\0']), keyText([7])])(
    'is refused for the token %j',
    (token) => {
      expect(() => keyIn(token, keySchema)).toThrow(Problem);
    },
  );
});
