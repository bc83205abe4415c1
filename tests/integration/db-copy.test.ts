import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createDatabase, type Database, jsonb } from '../../src/db/client.ts';
import { type CopyColumn, copyIn, copyOut } from '../../src/db/copy.ts';
import { databaseErrorCode, isTransientDatabaseError } from '../../src/db/errors.ts';
import { dateLiteral, instantLiteral, textArrayLiteral, textLiteral } from '../../src/db/literals.ts';
import { mergeRows } from '../../src/db/merge.ts';
import { copyIn as copyTableIn, copyOut as copyTableOut, countRows } from '../../src/db/transfer.ts';
import { createTestDatabase, type TestDatabase } from '../support/env.ts';

let database: TestDatabase;
let db: Database;

beforeAll(async () => {
  database = await createTestDatabase();
  db = createDatabase(database.urls.owner, { max: 2 });
  await db.sql`
    create table public.every_type (id int primary key, f8 float8, f4 float4, i2 int2, i8 int8, day date,
      at timestamptz, flag bool, words text, tags text[], vector real[], wide float8[], body jsonb)`;
});

beforeEach(async () => {
  await db.sql`truncate public.every_type`;
});

afterAll(async () => {
  await db.close();
  await database.drop();
});

function columnsOf(ids: readonly number[]): Record<string, CopyColumn> {
  const each = <T>(make: (id: number) => T): T[] => ids.map(make);
  return {
    id: { type: 'int4', values: ids },
    f8: { type: 'float8', values: Float64Array.from(ids, (id) => (id % 3 === 0 ? Number.NaN : id / 3)) },
    f4: { type: 'float4', values: each((id) => id + 0.5) },
    i2: { type: 'int2', values: each((id) => -(id % 100)) },
    i8: { type: 'int8', values: each((id) => (id % 2 === 0 ? -5_000_000_000_001 : 9_007_199_254_740_991)) },
    day: { type: 'date', values: each((id) => (id % 4 === 0 ? null : 17_569)) },
    at: { type: 'timestamptz', values: each(() => Date.UTC(1969, 6, 20, 20, 17, 40, 123)) },
    flag: { type: 'bool', values: each((id) => id % 2 === 0) },
    words: { type: 'text', values: each((id) => (id % 5 === 0 ? null : `zeile ${id} ü 🌙 'quoted'`)) },
    tags: { type: 'text[]', values: each((id) => (id % 2 === 0 ? [] : ['a', 'b"c'])) },
    vector: {
      type: 'float4[]',
      values: each((id) => (id % 2 === 0 ? [] : Float32Array.of(1.5, Number.NaN))),
    },
    wide: { type: 'float8[]', values: each((id) => Float64Array.of(0.1, id)) },
    body: { type: 'jsonb', values: each((id) => (id % 7 === 0 ? null : { id, nested: ['x'] })) },
  };
}

const insert = (ids: readonly number[]): Promise<void> =>
  db.sql.begin((tx) => copyIn({ tx, table: 'public.every_type', columns: columnsOf(ids), rows: ids.length }));

describe('copyIn', () => {
  it('brings every type over as it is', async () => {
    await insert([0, 1]);
    const rows = await db.sql`select * from public.every_type order by id`;
    expect(rows[0]).toEqual({
      id: 0,
      f8: null,
      f4: 0.5,
      i2: 0,
      i8: -5_000_000_000_001,
      day: null,
      at: '1969-07-20T20:17:40.123Z',
      flag: true,
      words: null,
      tags: [],
      vector: [],
      wide: [0.1, 0],
      body: null,
    });
    expect(rows[1]).toMatchObject({
      f8: 1 / 3,
      day: '2018-02-07',
      flag: false,
      words: "zeile 1 ü 🌙 'quoted'",
      tags: ['a', 'b"c'],
      vector: [1.5, Number.NaN],
      body: { id: 1, nested: ['x'] },
      i8: 9_007_199_254_740_991,
    });
    const [nulls] = await db.sql`select vector[2] is null as element from public.every_type where id = 1`;
    expect(nulls).toEqual({ element: true });
  });

  it('writes more than one chunk, and constants and dictionaries', async () => {
    const rows = 60_000;
    const ids = Int32Array.from({ length: rows }, (_, index) => index);
    await db.sql.begin((tx) =>
      copyIn({
        tx,
        table: 'public.every_type',
        rows,
        columns: {
          id: { type: 'int4', values: ids },
          words: { type: 'dictionary', codes: ids.map((id) => id % 2), dictionary: ['even', 'odd'] },
          i2: { type: 'constant', of: 'int2', value: 7 },
          at: { type: 'constant', of: 'timestamptz', value: 0 },
          day: { type: 'constant', of: 'date', value: null },
          body: { type: 'jsonb', values: Array.from(ids, (id) => ({ id })) },
        },
      }),
    );
    const [sum] = await db.sql`
      select count(*), sum(id) as ids, count(*) filter (where words = 'odd') as odd, min(i2) as low, max(at) as at,
        count(day) as days from public.every_type`;
    expect(sum).toEqual({
      count: rows,
      ids: (rows * (rows - 1)) / 2,
      odd: rows / 2,
      low: 7,
      at: '1970-01-01T00:00:00.000Z',
      days: 0,
    });
  });

  // The second is larger than all buffers on the way: some 10 MB.
  it.each([3, 50_000])('tells of a duplicate key among %i rows instead of waiting for ever', async (rows) => {
    const ids = Array.from({ length: rows }, (_, index) => (index === rows - 1 ? 0 : index));
    const error = await insert(ids).catch((caught: unknown) => caught);
    expect(databaseErrorCode(error)).toBe('23505');
    await insert([1]);
  });

  it('tells of a table that is not there, and of columns of unequal length', async () => {
    const missing = db.sql.begin((tx) =>
      copyIn({ tx, table: 'public.nowhere', columns: { id: { type: 'int4', values: [1] } }, rows: 1 }),
    );
    await expect(missing).rejects.toMatchObject({ code: '42P01' });
    const short = db.sql.begin((tx) =>
      copyIn({ tx, table: 'public.every_type', columns: { id: { type: 'int4', values: [1] } }, rows: 2 }),
    );
    await expect(short).rejects.toThrow('column id has 1 values, not 2');
  });

  it('leaves a usable connection when a row cannot be encoded', async () => {
    const rows = 100_000;
    const one = createDatabase(database.urls.owner, { max: 1 });
    const copying = one.sql.begin((tx) =>
      copyIn({
        tx,
        table: 'public.every_type',
        rows,
        columns: {
          id: { type: 'int4', values: Array.from({ length: rows }, (_, id) => id) },
          words: {
            type: 'dictionary',
            codes: Int32Array.from({ length: rows }, (_, id) => (id === rows - 1 ? 5 : 0)),
            dictionary: ['only one'],
          },
        },
      }),
    );
    await expect(copying).rejects.toThrow(`column words: no entry for row ${rows - 1}`);
    expect((await one.sql`select count(*) from public.every_type`)[0]).toEqual({ count: 0 });
    await one.close();
  });

  it('is transient when the connection dies in the middle', async () => {
    const victim = createDatabase(database.urls.owner, { max: 1 });
    const copying = victim.sql.begin(async (tx) => {
      const [backend] = await tx<{ pid: number }[]>`select pg_backend_pid() as pid`;
      const rows = 400_000;
      const ids = Int32Array.from({ length: rows }, (_, index) => index);
      setTimeout(() => void db.sql`select pg_terminate_backend(${backend?.pid ?? 0})`.execute(), 30);
      await copyIn({
        tx,
        table: 'public.every_type',
        rows,
        columns: {
          id: { type: 'int4', values: ids },
          body: { type: 'jsonb', values: Array.from(ids, () => ({ padding: 'x'.repeat(40) })) },
        },
      });
      await tx`select pg_sleep(2)`;
    });
    const error = await copying.catch((caught: unknown) => caught);
    expect(isTransientDatabaseError(error)).toBe(true);
    await victim.close();
  });
});

describe('copyOut', () => {
  it('reads what copyIn wrote, nulls as NaN and NULL_INT', async () => {
    await insert([0, 1, 5]);
    const { rows, columns } = await copyOut({
      sql: db.sql,
      query: 'select id, f8, day, at, flag, words, i8 from public.every_type order by id',
      columns: {
        id: 'int4',
        f8: 'float8',
        day: 'date',
        at: 'timestamptz',
        flag: 'bool',
        words: 'text',
        i8: 'int8',
      },
      expectedRows: 1,
    });
    expect(rows).toBe(3);
    expect([...columns.id]).toEqual([0, 1, 5]);
    expect([...columns.f8]).toEqual([Number.NaN, 1 / 3, 5 / 3]);
    expect([...columns.day]).toEqual([-2_147_483_648, 17_569, 17_569]);
    expect(columns.at[0]).toBe(Date.UTC(1969, 6, 20, 20, 17, 40, 123));
    expect([...columns.flag]).toEqual([1, 0, 0]);
    expect(columns.words).toEqual([null, "zeile 1 ü 🌙 'quoted'", null]);
    expect(columns.i8[1]).toBe(9_007_199_254_740_991);
  });

  it('reads fields larger than any buffer, and the connection goes on', async () => {
    await insert([1, 2, 3]);
    const one = createDatabase(database.urls.owner, { max: 1 });
    for (const times of [1, 1000, 100_000]) {
      const { columns } = await copyOut({
        sql: one.sql,
        query: `select id, repeat('x', ${times})::bytea as body from public.every_type order by id`,
        columns: { id: 'int4', body: 'bytes' },
      });
      expect(columns.body.map((body) => body.length)).toEqual([times, times, times]);
      expect((await one.sql`select 1 as one`)[0]).toEqual({ one: 1 });
    }
    await one.close();
  });

  it('reads nothing from an empty table and tells of an error in the query', async () => {
    const empty = await copyOut({
      sql: db.sql,
      query: 'select id from public.every_type',
      columns: { id: 'int4' },
    });
    expect(empty).toEqual({ rows: 0, columns: { id: new Int32Array(0) } });
    await insert([1]);
    const division = copyOut({
      sql: db.sql,
      query: 'select 1 / (id - 1) from public.every_type',
      columns: { id: 'int4' },
    });
    await expect(division).rejects.toMatchObject({ code: '22012' });
    const width = copyOut({
      sql: db.sql,
      query: 'select id, id from public.every_type',
      columns: { id: 'int4' },
    });
    await expect(width).rejects.toThrow('COPY sent 2 columns, not 1');
    expect((await db.sql`select 1 as one`)[0]).toEqual({ one: 1 });
  });
});

describe('whole tables', () => {
  const table = { schema: 'public', table: 'every_type', columns: ['id', 'words'] };

  it('come out and go in again on the same connection', async () => {
    await insert(Array.from({ length: 20_000 }, (_, id) => id));
    const one = createDatabase(database.urls.owner, { max: 1 });
    const rows = await one.sql.begin(async (tx) => {
      const parts: Buffer[] = [];
      for await (const part of await copyTableOut(tx, table)) parts.push(Buffer.from(part as Buffer));
      await tx`truncate public.every_type`;
      await pipeline(Readable.from(parts), await copyTableIn(tx, table));
      return await countRows(tx, table);
    });
    expect(rows).toBe(20_000);
    await one.close();
  });

  it('that are not read to the end, or break off on their way in, end the transaction', async () => {
    await insert(Array.from({ length: 60_000 }, (_, id) => id));
    const one = createDatabase(database.urls.owner, { max: 1 });
    const out = one.sql.begin(async (tx) => {
      await tx`delete from public.every_type where id = 0`;
      await pipeline(await copyTableOut(tx, table), async (parts) => {
        for await (const part of parts) throw new Error(`no space for ${typeof part}`);
      });
    });
    await expect(out).rejects.toThrow('no space for object');
    const broken = one.sql.begin(async (tx) => {
      const source = Readable.from(
        (function* rows() {
          yield Buffer.from('70000\ta\n');
          throw new Error('a broken file');
        })(),
      );
      await pipeline(source, await copyTableIn(tx, table));
    });
    await expect(broken).rejects.toThrow('a broken file');
    const twice = one.sql.begin(async (tx) => {
      await pipeline(Readable.from([Buffer.from('1\ta\n')]), await copyTableIn(tx, table));
    });
    await expect(twice).rejects.toThrow('duplicate key');
    expect(await one.sql`select count(*) as rows from public.every_type`).toEqual([{ rows: 60_000 }]);
    await one.close();
  });
});

describe('a table on its way', () => {
  const table = { schema: 'public', table: 'every_type', columns: ['id', 'words'] };

  it('straight out of another database breaks off on both sides', async () => {
    await insert(Array.from({ length: 60_000 }, (_, id) => id));
    const source = createDatabase(database.urls.owner, { max: 1 });
    const target = createDatabase(database.urls.owner, { max: 1 });
    const moved = source.sql.begin(async (from) => {
      const out = await copyTableOut(from, table);
      await target.sql.begin(async (to) => await pipeline(out, await copyTableIn(to, table)));
    });
    await expect(moved).rejects.toThrow(/duplicate key/);
    for (const one of [source, target]) {
      expect(await one.sql`select 1 as one`).toEqual([{ one: 1 }]);
      await one.close();
    }
  });
});

describe('mergeRows', () => {
  const merge = (values: readonly number[], compare?: string[]) =>
    db.sql.begin((tx) =>
      mergeRows({
        tx,
        table: 'public.every_type',
        rows: values.length,
        key: ['id'],
        ...(compare === undefined ? {} : { compare }),
        columns: {
          id: { type: 'int4', values: values.map((_, index) => index) },
          f8: { type: 'float8', values: Float64Array.from(values) },
        },
      }),
    );

  it('inserts, updates what differs, and touches nothing on a re-run', async () => {
    expect(await merge([1, Number.NaN, 3], ['f8'])).toEqual({ inserted: 3, updated: 0 });
    const before = await db.sql`select id, xmin::text as version from public.every_type order by id`;
    expect(await merge([1, Number.NaN, 3], ['f8'])).toEqual({ inserted: 0, updated: 0 });
    expect(await db.sql`select id, xmin::text as version from public.every_type order by id`).toEqual(before);
    expect(await merge([1, 2, Number.NaN, 4], ['f8'])).toEqual({ inserted: 1, updated: 2 });
    expect(await merge([9, 9, 9, 9, 9])).toEqual({ inserted: 1, updated: 0 });
    expect((await db.sql`select f8 from public.every_type order by id`).map((row) => row['f8'])).toEqual([
      1,
      2,
      null,
      4,
      9,
    ]);
  });
});

describe('values', () => {
  it('jsonb refuses what JSON cannot hold', () => {
    expect(() => jsonb({ a: [Number.NaN] })).toThrow(TypeError);
    expect(jsonb({ a: undefined, b: 1 })).toEqual({ b: 1 });
  });

  it.each(["o'neil", 'back\\slash', "\\'; drop table x; --", 'ü🌙'])(
    'literal %s comes back',
    async (text) => {
      const [row] = await db.sql.unsafe(
        `select ${textLiteral(text)} as one, ${textArrayLiteral([text, 'b'])} as many`,
      );
      expect(row).toEqual({ one: text, many: [text, 'b'] });
    },
  );

  it('date and instant literals take nothing else', () => {
    expect(() => dateLiteral("2018-02-07'")).toThrow(RangeError);
    expect(() => instantLiteral("now'")).toThrow(RangeError);
    expect(() => textLiteral('\0')).toThrow(RangeError);
  });
});
