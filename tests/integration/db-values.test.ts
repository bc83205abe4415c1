import { describe, expect, it } from 'vitest';
import { caught, useClientRig } from '../support/client-rig.ts';

const { open, marks } = useClientRig();

describe('values', () => {
  it('come back as they are', async () => {
    const { sql } = open({ max: 1 });
    const list = ['a"b', 'c\\d', '', 'NULL', 'e,f', '{g}', 'ü🌙'];
    const [row] = await sql`
      select ${9_007_199_254_740_991}::bigint as big_number, ${0.1}::float8 as fraction, ${1.5}::numeric as exact,
        ${'2018-02-07'}::date as session_date, ${'2018-02-07T16:00:00.123-05:00'}::timestamptz as at_instant,
        ${true} as yes, ${null}::text as nothing, ${list}::text[] as words, ${[1, 2, 3]}::int[] as numbers,
        ${[true, null]}::boolean[] as flags, ${[[1, 2], [3, 4]]}::float8[] as grid,
        ${['2018-02-07']}::date[] as dates, ${['2018-02-07T00:00:00Z']}::timestamptz[] as instants,
        ${sql.json({ snake_case: [1, null, { a_b: 'x' }] })} as document, ${sql.json(null)} as no_document,
        ${sql.json('text')} as json_text, array['{"a_b": 1}'::jsonb] as documents,
        '{1.5,null}'::real[] as vector, 'pg_class'::regclass as class_name, array['a'::name] as names,
        ${new Uint8Array([0, 255])} as bytes, ${new Date(0)} as epoch, '3 days'::interval as span`;
    expect(row).toEqual({
      bigNumber: 9_007_199_254_740_991,
      fraction: 0.1,
      exact: '1.5',
      sessionDate: '2018-02-07',
      atInstant: '2018-02-07T21:00:00.123Z',
      yes: true,
      nothing: null,
      words: list,
      numbers: [1, 2, 3],
      flags: [true, null],
      grid: [
        [1, 2],
        [3, 4],
      ],
      dates: ['2018-02-07'],
      instants: ['2018-02-07T00:00:00.000Z'],
      document: { snake_case: [1, null, { a_b: 'x' }] },
      noDocument: null,
      jsonText: 'text',
      documents: [{ a_b: 1 }],
      vector: [1.5, Number.NaN],
      className: 'pg_class',
      names: ['a'],
      bytes: Buffer.from([0, 255]),
      epoch: '1970-01-01T00:00:00.000Z',
      span: '3 days',
    });
  });

  it('go into lists and into parts of statements', async () => {
    const { sql } = open({ max: 1 });
    await sql`insert into public.marks select * from unnest(${[1, 2, 3]}::int[], ${['x', null, 'z']}::text[])`;
    const some = sql`id = any(${[1, 2]})`;
    const query = (part: typeof some) =>
      sql<{ id: number }[]>`select id from public.marks where ${part} and id < ${10} and ${some} order by id`;
    expect(await query(some)).toEqual([{ id: 1 }, { id: 2 }]);
    expect(await query(sql`words is not distinct from ${'x'}`)).toEqual([{ id: 1 }]);
    expect(await query(sql`id = any(${[]})`)).toEqual([]);
  });

  it('undefined is an error, before anything is sent and inside of lists too', async () => {
    const { sql } = open({ max: 1 });
    const missing = (JSON.parse('{}') as { value: string }).value;
    for (const value of [missing, [missing], sql.json(missing)]) {
      await expect(sql`insert into public.marks values (1, ${value})`).rejects.toThrow('undefined');
      await expect(sql.unsafe('select $1', [value])).rejects.toThrow('undefined');
    }
    await expect(sql.begin((tx) => caught(tx`select ${missing}`))).rejects.toThrow('undefined');
    expect(await marks()).toEqual([]);
  });

  it('names are quoted', async () => {
    const { sql } = open({ max: 1 });
    const name = 'odd "name" select';
    await sql.begin(async (tx) => {
      await tx`create temp table ${tx(name)} (${tx('order')} int, b int) on commit drop`;
      await tx`insert into ${tx(name)} (${tx(['order', 'b'])}) values (1, 2)`;
      expect(await tx`select ${tx(['b', 'order'])} from ${tx(name)}`).toEqual([{ b: 2, order: 1 }]);
    });
    expect(await sql`select count(*) as rows from ${sql('market.bars')}`).toEqual([{ rows: 0 }]);
  });

  it('a text may hold several statements, a template one', async () => {
    const { sql } = open({ max: 1 });
    expect(await sql.unsafe('select 1 as a_b; select 2 as b')).toEqual([[{ aB: 1 }], [{ b: 2 }]]);
    expect(await sql.unsafe('select $1::int as a, $2 as b', [1, 'x'])).toEqual([{ a: 1, b: 'x' }]);
    await expect(sql`select 1; select 2`).rejects.toMatchObject({ code: '42601' });
  });

  it('a statement runs once, and only if somebody wants it', async () => {
    const { sql } = open({ max: 1 });
    const never = sql`insert into public.marks values (1)`;
    const once = sql`insert into public.marks values (2) returning id`;
    expect([await once, await once]).toEqual([[{ id: 2 }], [{ id: 2 }]]);
    expect(never).toBeDefined();
    expect(await marks()).toEqual([2]);
  });
});
