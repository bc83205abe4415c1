import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createDatabase } from '../../src/db/client.ts';
import { classifyDatabaseError } from '../../src/db/errors.ts';
import { caught, useClientRig } from '../support/client-rig.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const rig = useClientRig();
const { open, backendOf, kill, marks } = rig;

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
    const one = createDatabase(rig.url, { max: 1 });
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
    const url = new URL(rig.url);
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

class Undone extends Error {
  override readonly message = 'undone';
}

describe('a prepared statement', () => {
  it('is parsed once, and again when a migration has changed its columns', async () => {
    const { sql } = open({ max: 1, prepare: true });
    await sql`create table public.wide as select 1 as one`;
    const read = (least: number) => sql`select * from public.wide where one >= ${least}`;
    for (const least of [0, 1]) expect(await read(least)).toEqual([{ one: 1 }]);
    await sql`alter table public.wide add column two int default 2`;
    for (const least of [0, 1]) expect(await read(least)).toEqual([{ one: 1, two: 2 }]);
    expect(await read(2)).toEqual([]);
    const prepared = await sql`
      select name from pg_prepared_statements where statement like 'select * from public.wide%' order by name`;
    // The stale one stays where it was and is not asked for any more.
    expect(prepared).toHaveLength(2);
    await sql`drop table public.wide`;
  });
});
