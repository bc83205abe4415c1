import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createDatabase, type Database, type DatabaseOptions, type Queryable } from '../../src/db/client.ts';
import { copyIn } from '../../src/db/copy.ts';
import { classifyDatabaseError, isTransientDatabaseError } from '../../src/db/errors.ts';
import { createTestDatabase, type TestDatabase } from '../support/env.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

let database: TestDatabase;
/** Looks and kills from outside. */
let admin: Database;
const opened: Database[] = [];
/** What a process would end with. */
const uncaught: unknown[] = [];
const remember = (error: unknown): void => void uncaught.push(error);

beforeAll(async () => {
  database = await createTestDatabase();
  admin = createDatabase(database.urls.owner, { max: 2 });
  await admin.sql`create table public.marks (id int primary key, words text)`;
  process.on('uncaughtExceptionMonitor', remember);
});
beforeEach(async () => {
  await admin.sql`truncate public.marks`;
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()));
  expect(uncaught.splice(0)).toEqual([]);
});
afterAll(async () => {
  process.off('uncaughtExceptionMonitor', remember);
  await admin.close();
  await database.drop();
});

function open(options: DatabaseOptions = {}, url = database.urls.owner): Database {
  const one = createDatabase(url, options);
  opened.push(one);
  return one;
}

async function backendOf(sql: Queryable): Promise<number> {
  const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
  return row?.pid ?? 0;
}

async function kill(pid: number): Promise<void> {
  await admin.sql`select pg_terminate_backend(${pid}, 5000)`;
}

async function marks(): Promise<number[]> {
  const rows = await admin.sql<{ id: number }[]>`select id from public.marks order by id`;
  return rows.map(({ id }) => id);
}

const caught = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'nothing was thrown',
    (error: unknown) => error,
  );

async function untilSleeping(pid: number): Promise<void> {
  await expect
    .poll(
      async () => {
        const rows = await admin.sql`
          select 1 from pg_stat_activity where pid = ${pid} and state = 'active' and query like '%pg_sleep%'`;
        return rows.length;
      },
      { interval: 10 },
    )
    .toBe(1);
}

describe('a connection that dies in a transaction', () => {
  it('ends it with a transient error during a statement, and the pool goes on', async () => {
    const { sql } = open({ max: 1 });
    const error = await caught(
      sql.begin(async (tx) => {
        await tx`insert into public.marks values (1)`;
        const pid = await backendOf(tx);
        const running = caught(tx`select pg_sleep(20)`);
        await untilSleeping(pid);
        await kill(pid);
        throw await running;
      }),
    );
    expect(isTransientDatabaseError(error)).toBe(true);
    await sql.begin((tx) => tx`insert into public.marks values (2)`);
    expect(await marks()).toEqual([2]);
  });

  it('ends it while the function waits for something else; what it does later reaches no other connection', async () => {
    const { sql } = open({ max: 1 });
    let resume: () => void = () => undefined;
    const elsewhere = new Promise<void>((resolve) => {
      resume = resolve;
    });
    const late: unknown[] = [];
    let pid = 0;
    let done: Promise<void> = Promise.resolve();
    const transaction = caught(
      sql.begin((tx) => {
        done = (async () => {
          await tx`insert into public.marks values (1)`;
          pid = await backendOf(tx);
          await elsewhere;
          late.push(await caught(tx`insert into public.marks values (3)`));
          late.push(await caught(tx.savepoint((inner) => inner`insert into public.marks values (4)`)));
        })();
        return done;
      }),
    );
    await expect.poll(() => pid, { interval: 10 }).toBeGreaterThan(0);
    await kill(pid);
    // The function still waits: it does not have to come back for the error to be known.
    expect(isTransientDatabaseError(await transaction)).toBe(true);
    await sql.begin(async (tx) => {
      await tx`insert into public.marks values (2)`;
      expect(await backendOf(tx)).not.toBe(pid);
      resume();
      await done;
      expect(late.map(isTransientDatabaseError)).toEqual([true, true]);
      expect(await tx`select id from public.marks order by id`).toEqual([{ id: 2 }]);
    });
    expect(await marks()).toEqual([2]);
  });

  it('ends it when the network resets the connection, and the next transaction has another one', async () => {
    const url = new URL(database.urls.owner);
    const proxy = await TcpProxy.to({ host: '127.0.0.1', port: Number(url.port) });
    try {
      url.hostname = '127.0.0.1';
      url.port = String(proxy.port);
      const { sql } = open({ max: 1 }, url.href);
      for (const id of [1, 2, 3]) {
        const error = await caught(
          sql.begin(async (tx) => {
            await tx`insert into public.marks values (${id})`;
            if (id === 2) await tx`savepoint nobody_minds`;
            const running = caught(tx`select pg_sleep(20)`);
            const backend = await otherBackend();
            proxy.reset();
            const lost = await running;
            // The server sleeps on and would hold its locks.
            await kill(backend);
            throw lost;
          }),
        );
        expect(isTransientDatabaseError(error)).toBe(true);
        expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
      }
      expect(await marks()).toEqual([]);
    } finally {
      await proxy.close();
    }
  });

  it('settles every statement that waited for its turn', async () => {
    const { sql } = open({ max: 1 });
    let statements: Promise<unknown>[] = [];
    const error = await caught(
      sql.begin(async (tx) => {
        const pid = await backendOf(tx);
        statements = [
          tx`select pg_sleep(20)`,
          ...Array.from({ length: 20 }, (_, id) => tx`insert into public.marks values (${id})`),
          tx.savepoint((inner) => inner`insert into public.marks values (50)`),
        ].map(caught);
        await untilSleeping(pid);
        await kill(pid);
        await Promise.all(statements);
      }),
    );
    const errors = [error, ...(await Promise.all(statements))];
    expect(errors.map(isTransientDatabaseError)).toEqual(Array.from({ length: 23 }, () => true));
    expect(await marks()).toEqual([]);
  });

  it('rejects a COPY in the middle, and the statements behind it', async () => {
    const { sql } = open({ max: 1 });
    const rows = 2_000_000;
    const ids = Int32Array.from({ length: rows }, (_, index) => index);
    let copying: Promise<unknown> = Promise.resolve();
    let behind: Promise<unknown> = Promise.resolve();
    const error = await caught(
      sql.begin(async (tx) => {
        const pid = await backendOf(tx);
        copying = caught(
          copyIn({ tx, table: 'public.marks', columns: { id: { type: 'int4', values: ids } }, rows }),
        );
        behind = caught(tx`select 1`);
        await sleep(20);
        await kill(pid);
        throw await copying;
      }),
    );
    const errors = [error, await copying, await behind];
    expect(errors.map(isTransientDatabaseError)).toEqual([true, true, true]);
    expect(await marks()).toEqual([]);
  });

  it('leaves nothing when it dies before the commit is answered', async () => {
    const { sql } = open({ max: 1 });
    await admin.sql`
      create or replace function public.slow() returns trigger language plpgsql as
        'begin perform pg_sleep(20); return null; end'`;
    await admin.sql`
      create constraint trigger slow after insert on public.marks deferrable initially deferred
        for each row execute function public.slow()`;
    try {
      let pid = 0;
      const committing = caught(
        sql.begin(async (tx) => {
          pid = await backendOf(tx);
          await tx`insert into public.marks values (1)`;
        }),
      );
      await expect
        .poll(async () => {
          const rows = await admin.sql`
            select 1 from pg_stat_activity where pid = ${pid} and state = 'active' and query = 'commit'`;
          return rows.length;
        })
        .toBe(1);
      await kill(pid);
      expect(isTransientDatabaseError(await committing)).toBe(true);
      expect(await marks()).toEqual([]);
    } finally {
      await admin.sql`drop trigger slow on public.marks`;
    }
  });

  async function otherBackend(): Promise<number> {
    let found = 0;
    await expect
      .poll(
        async () => {
          const [row] = await admin.sql<{ pid: number }[]>`
            select pid from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid() and query = 'select pg_sleep(20)'
              and state = 'active' order by backend_start desc`;
          found = row?.pid ?? 0;
          return found;
        },
        { interval: 10 },
      )
      .toBeGreaterThan(0);
    return found;
  }
});

describe('a transaction', () => {
  it('has its connection for itself among many statements at once', async () => {
    const { sql } = open({ max: 2 });
    const outside = new Set<number>();
    const singles = (count: number): Promise<void>[] =>
      Array.from({ length: count }, async () => void outside.add(await backendOf(sql)));
    const backends = new Set<number>();
    const transaction = async (id: number): Promise<void> => {
      await sql.begin(async (tx) => {
        const [before] = await tx<{ xid: string }[]>`
          insert into public.marks values (${id}) returning pg_current_xact_id()::text as xid`;
        for (let turn = 0; turn < 5; turn += 1) {
          backends.add(await backendOf(tx));
          const [now] = await tx<{ xid: string }[]>`select pg_current_xact_id_if_assigned()::text as xid`;
          expect(now).toEqual(before);
        }
        if (id % 2 === 0) throw new Undone();
      });
    };
    const results = await Promise.allSettled([
      ...singles(150),
      transaction(1),
      transaction(2),
      ...singles(150),
      transaction(3),
    ]);
    const failed = results.filter((result) => result.status === 'rejected');
    expect(failed.map(({ reason }) => reason as unknown)).toEqual([new Undone()]);
    expect(await marks()).toEqual([1, 3]);
    expect(outside.size).toBeLessThanOrEqual(2);
    expect(backends.size).toBeLessThanOrEqual(2);
  });

  it.each([99, 100, 101, 102])('begins behind %i statements that are on their way', async (before) => {
    const { sql } = open({ max: 1 });
    await sql`select 1`;
    const singles = Array.from({ length: before }, () => sql`select 1 as one`.execute());
    const transaction = sql.begin(async (tx) => {
      await tx`insert into public.marks values (1)`;
      throw new Undone();
    });
    const behind = sql`select count(*) as rows from public.marks`;
    const [error, rows] = await Promise.all([caught(transaction), behind, ...singles]);
    expect(error).toEqual(new Undone());
    expect(rows).toEqual([{ rows: 0 }]);
    expect(await marks()).toEqual([]);
  });

  it('takes statements that are started at once in their order', async () => {
    const { sql } = open({ max: 1 });
    const sums = await sql.begin((tx) =>
      Promise.all(
        Array.from({ length: 30 }, async (_, id) => {
          const [row] = await tx<{ before: number }[]>`
            with added as (insert into public.marks values (${id}))
            select count(*) as before from public.marks`;
          return row?.before;
        }),
      ),
    );
    expect(sums).toEqual(Array.from({ length: 30 }, (_, id) => id));
  });

  it('is undone when a statement failed, also if its error was caught or nobody waited for it', async () => {
    const { sql } = open({ max: 1 });
    const swallowed = sql.begin(async (tx) => {
      await tx`insert into public.marks values (1)`;
      await caught(tx`insert into public.marks values (1)`);
      return 'fine';
    });
    await expect(swallowed).rejects.toMatchObject({ name: 'PostgresError', code: '23505' });
    const unseen = sql.begin((tx) => {
      tx`insert into public.marks values (2)`.execute();
      tx`select 1 / 0`.execute();
    });
    await expect(unseen).rejects.toMatchObject({ code: '22012' });
    const second = sql.begin(async (tx) => {
      await caught(tx`select 1 / 0`);
      await tx`select 1`;
    });
    await expect(second).rejects.toMatchObject({ code: '22012' });
    expect(await marks()).toEqual([]);
  });

  it('goes on behind a savepoint that failed', async () => {
    const { sql } = open({ max: 1 });
    await sql.begin(async (tx) => {
      await tx`insert into public.marks values (1)`;
      const failed = tx.savepoint(async (inner) => {
        await inner`insert into public.marks values (2)`;
        await inner.savepoint((deeper) => deeper`insert into public.marks values (3)`);
        await inner`insert into public.marks values (1)`;
      });
      await expect(failed).rejects.toMatchObject({ code: '23505', constraint: 'marks_pkey', table: 'marks' });
      await tx.savepoint((inner) => inner`insert into public.marks values (4)`);
    });
    expect(await marks()).toEqual([1, 4]);
  });

  it('refuses statements after its end', async () => {
    const { sql } = open({ max: 1 });
    const [tx] = await sql.begin(async (one) => {
      await one`insert into public.marks values (1)`;
      return [one];
    });
    await expect(tx`insert into public.marks values (2)`).rejects.toThrow('the transaction has ended');
    await expect(tx.savepoint((inner) => inner`select 1`)).rejects.toThrow('the transaction has ended');
    expect(await marks()).toEqual([1]);
  });

  it('refuses statements of a part of it that goes on after its end', async () => {
    const { sql } = open({ max: 1 });
    let late: Promise<unknown> = Promise.resolve();
    let goOn: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const both = sql.begin(async (tx) => {
      const slow = tx.savepoint(async (inner) => {
        await ended;
        await inner`insert into public.marks values (1)`;
      });
      late = caught(slow);
      const broken = tx.savepoint(() => Promise.reject(new Error('the other part')));
      // The transaction's own end is sent by then, and not answered.
      broken.catch(() => setImmediate(goOn));
      await broken;
    });
    await expect(both).rejects.toThrow('the other part');
    expect(String(await late)).toMatch(/the transaction has ended/);
    expect(await marks()).toEqual([]);
  });

  it('left open by a text of several statements, or by who reserved the connection, is nobody else’s', async () => {
    const { sql } = open({ max: 1 });
    await expect(sql.unsafe('begin; select 1 / 0')).rejects.toMatchObject({ code: '22012' });
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
    const reserved = await sql.reserve();
    reserved`begin`.execute();
    reserved.release();
    const begun = async (): Promise<unknown> => (await sql`select now()::text as at`)[0]?.['at'];
    expect(await begun()).not.toBe(await begun());
  });

  it('keeps the words with which the server ends the connection', async () => {
    const { sql } = open({ max: 1 });
    const timedOut = sql.begin(async (tx) => {
      await tx`set local transaction_timeout = '50ms'`;
      await tx`select pg_sleep(20)`;
    });
    await expect(timedOut).rejects.toMatchObject({ code: '25P04', severity: 'FATAL' });
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
  });

  it('takes options', async () => {
    const { sql } = open({ max: 1 });
    const [row] = await sql.begin(
      'isolation level repeatable read read only',
      (tx) => tx`select current_setting('transaction_isolation') as level,
        current_setting('transaction_read_only') as read_only`,
    );
    expect(row).toEqual({ level: 'repeatable read', readOnly: 'on' });
  });
});

describe('connections', () => {
  it('an idle one that dies is replaced in silence', async () => {
    const { sql } = open({ max: 1 });
    const pid = await backendOf(sql);
    await kill(pid);
    // Its end is known here a moment after the server has said goodbye.
    await expect.poll(() => backendOf(sql).catch(() => pid), { interval: 20 }).not.toBe(pid);
  });

  it('a reserved one is the same until it is released, and refuses afterwards or when it died', async () => {
    const { sql } = open({ max: 2 });
    const reserved = await sql.reserve();
    const pid = await backendOf(reserved);
    expect(await backendOf(sql)).not.toBe(pid);
    expect(await backendOf(reserved)).toBe(pid);
    reserved.release();
    await expect(reserved`select 1`).rejects.toThrow('given back');
    const another = await sql.reserve();
    await kill(await backendOf(another));
    expect(classifyDatabaseError(await caught(another`select 1`))).toBe('transient');
    another.release();
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
  });

  it('one that is given back in an open transaction is not used again', async () => {
    const { sql } = open({ max: 1 });
    const reserved = await sql.reserve();
    await reserved`begin`;
    await reserved`insert into public.marks values (1)`;
    reserved.release();
    expect(await sql`select id from public.marks`).toEqual([]);
    expect(await marks()).toEqual([]);
  });

  it('a wait for a free one has no end of its own', async () => {
    const { sql } = open({ max: 1, connectTimeoutMs: 100 });
    const [slow, fast] = await Promise.all([sql`select pg_sleep(0.5)`, sql`select 1 as one`]);
    expect([slow.length, fast]).toEqual([1, [{ one: 1 }]]);
  });

  it('nobody there, and nobody who answers, is transient', async () => {
    const silent = await TcpProxy.to({ host: '127.0.0.1', port: 1 });
    const port = silent.port;
    await silent.close();
    const refused = open({}, `postgres://x:y@127.0.0.1:${port}/z`);
    expect(classifyDatabaseError(await caught(refused.sql`select 1`))).toBe('transient');
    const { createServer } = await import('node:net');
    const mute = createServer().listen(0, '127.0.0.1');
    await sleep(50);
    const address = mute.address();
    const mutePort = typeof address === 'object' ? address?.port : 0;
    const waiting = open({ connectTimeoutMs: 200 }, `postgres://x:y@127.0.0.1:${mutePort}/z`);
    expect(await caught(waiting.sql`select 1`)).toMatchObject({ code: 'CONNECT_TIMEOUT' });
    mute.close();
  });

  it('close waits for what runs, and refuses what comes later', async () => {
    const one = createDatabase(database.urls.owner, { max: 1 });
    const running = one.sql`select pg_sleep(0.2), 1 as one`;
    const queued = one.sql`select 2 as two`;
    running.execute();
    queued.execute();
    await one.close();
    expect((await running)[0]).toMatchObject({ one: 1 });
    expect(await queued).toEqual([{ two: 2 }]);
    await expect(one.sql`select 1`).rejects.toMatchObject({ code: 'CONNECTION_ENDED' });
  });

  it('says who it is, and takes settings and TLS wishes from the URL', async () => {
    const url = new URL(database.urls.owner);
    url.searchParams.set('sslmode', 'prefer');
    url.searchParams.set('statement_timeout', '4567ms');
    url.searchParams.set('search_path', 'market, ops');
    const { sql } = open({ applicationName: 'a test' }, url.href);
    const [row] = await sql`
      select current_setting('application_name') as name, current_setting('statement_timeout') as timeout,
        current_setting('search_path') as path`;
    expect(row).toEqual({ name: 'a test', timeout: '4567ms', path: 'market, ops' });
    const together = open({ max: 3 }, url.href);
    const ones = await Promise.all([1, 2, 3].map((id) => together.sql`select ${id}::int as id`));
    expect(ones.flat()).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
    url.searchParams.set('sslmode', 'require');
    await expect(open({}, url.href).sql`select 1`).rejects.toThrow('does not support SSL');
  });
});

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

class Undone extends Error {
  override readonly message = 'undone';
}
