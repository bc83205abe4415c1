import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { copyIn } from '../../src/db/copy.ts';
import { isTransientDatabaseError } from '../../src/db/errors.ts';
import { caught, useClientRig } from '../support/client-rig.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const rig = useClientRig();
const { open, backendOf, kill, marks, untilSleeping } = rig;

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
    const url = new URL(rig.url);
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
    await rig.look()`
      create or replace function public.slow() returns trigger language plpgsql as
        'begin perform pg_sleep(20); return null; end'`;
    await rig.look()`
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
          const rows = await rig.look()`
            select 1 from pg_stat_activity where pid = ${pid} and state = 'active' and query = 'commit'`;
          return rows.length;
        })
        .toBe(1);
      await kill(pid);
      expect(isTransientDatabaseError(await committing)).toBe(true);
      expect(await marks()).toEqual([]);
    } finally {
      await rig.look()`drop trigger slow on public.marks`;
    }
  });

  async function otherBackend(): Promise<number> {
    let found = 0;
    await expect
      .poll(
        async () => {
          const [row] = await rig.look()<{ pid: number }[]>`
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
