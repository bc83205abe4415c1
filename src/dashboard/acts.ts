import { isGrpcServiceError, WorkflowNotFoundError } from '@temporalio/client';
import { Hono } from 'hono';
import { z } from 'zod';
import { confirmBackfill, orConflict } from '../api/backfill.ts';
import { configurationInForce, usualSession } from '../api/configuration.ts';
import type { Caller } from '../api/deps.ts';
import { Problem, problemOf } from '../api/problems.ts';
import { decideQuarantineFor } from '../api/quarantine.ts';
import { askForRun, decideRun, endNight, endSingleRun, newRequestId, retryRun } from '../api/run-acts.ts';
import { findUniverse } from '../api/run-target.ts';
import type { ApiRole } from '../contracts/api-tokens.ts';
import type { ConfigFile } from '../contracts/schemas/config.ts';
import { SCHEDULE_IDS, TASKS } from '../contracts/wire/names.ts';
import { findApiToken, revokeApiToken } from '../db/queries/api-tokens.ts';
import { findTaskRun } from '../db/queries/task-runs.ts';
import { cancelBackfill } from '../temporal/backfill.ts';
import { RunRefusedError } from '../temporal/manual-request.ts';
import { setSchedulePaused, triggerScheduleFor } from '../temporal/schedules.ts';
import { type EndHow, startNightFor } from '../temporal/verbs.ts';
import { FORCE_WORDS } from './components/run-acts.tsx';
import type { PageContext, PageDeps, PageEnv } from './deps.ts';
import { leaveFlash } from './flash.ts';
import { words } from './format.ts';
import { formOf, ownPath, requireLogin, requireOwnOrigin } from './login.ts';
import { offeredUniverses, type TonightReader } from './tonight.ts';

const why = z.string().trim().min(1, 'a reason is needed').max(500);
const optionalDate = z
  .string()
  .trim()
  .transform((text) => (text === '' ? undefined : text))
  .pipe(z.iso.date('a session is a date like 2018-02-07').optional());
const universe = z.string().trim().min(1).max(200);
const scheduleId = z.enum(Object.values(SCHEDULE_IDS));

const forms = {
  night: z.object({ sessionDate: optionalDate, universe, why }),
  task: z.object({
    task: z.enum(TASKS),
    sessionDate: optionalDate,
    universe,
    force: z.literal('yes').optional(),
    key: z.uuid(),
    why,
  }),
  review: z.object({
    runId: z.string().min(1).max(200),
    attempts: z.coerce.number().int().min(0),
    decision: z.enum(['retry', 'skip', 'abort']),
    why,
  }),
  end: z.object({ runId: z.string().min(1).max(200), how: z.enum(['cancel', 'terminate']), why }),
  retry: z.object({
    runId: z.string().min(1).max(200),
    force: z.literal('yes').optional(),
    key: z.uuid(),
    why,
  }),
  schedule: z.object({ scheduleId, verb: z.enum(['pause', 'unpause', 'trigger']), why }),
  backfill: z.object({
    from: z.iso.date(),
    to: z.iso.date(),
    universe,
    onlyMissing: z.enum(['true', 'false']).transform((text) => text === 'true'),
    token: z.string().regex(/^[0-9a-f]{64}$/),
    why,
  }),
  'cancel-backfill': z.object({ why }),
  quarantine: z.object({
    symbol: z.string().min(1).max(32),
    sessionDate: z.iso.date(),
    subject: z.string().min(1).max(100),
    provider: z.string().min(1).max(100),
    row: z.coerce.number().int().min(1).optional(),
    decision: z.enum(['release', 'reject']),
    why,
  }),
  revoke: z.object({ tokenId: z.string().regex(/^[0-9a-f]{16}$/), why }),
};
type FormName = keyof typeof forms;
type FormOf<Name extends FormName> = z.infer<(typeof forms)[Name]>;

const ENDED: Readonly<Record<EndHow, string>> = {
  cancel: 'asked to stop',
  terminate: 'terminated; its rows are closed within a minute',
};

/** What people do from the pages: plain forms, answered with a redirect back and one sentence of what became of it. */
export function actRoutes(deps: PageDeps, reader: TonightReader): Hono<PageEnv> {
  const { sql, pipelineSql, client } = deps;
  const app = new Hono<PageEnv>();
  const login = requireLogin(deps, reader);

  const act = <Name extends FormName>(
    path: string,
    options: { form: Name; needs: ApiRole },
    run: (form: FormOf<Name>, caller: Caller) => Promise<string>,
  ): void => {
    app.post(path, requireOwnOrigin, login, deps.perToken, async (c) => {
      const fields = await formOf(c, options.needs);
      const parsed = forms[options.form].safeParse(fields);
      if (!parsed.success)
        return back(c, fields, {
          kind: 'refused',
          text: parsed.error.issues.map(({ message }) => message).join('; '),
        });
      try {
        const text = await run(parsed.data as FormOf<Name>, c.get('session').caller);
        reader.forget();
        return back(c, fields, { kind: 'done', text });
      } catch (error) {
        const text = refusalOf(error);
        if (text === null) throw error;
        return back(c, fields, { kind: 'refused', text });
      }
    });
  };

  const requireOffered = async (named: string): Promise<void> => {
    const [{ night }, settings] = await Promise.all([reader.view(), reader.settings()]);
    const offered = offeredUniverses(settings, night);
    if (!offered.includes(named))
      throw new Problem('invalid-input', `${named} is none of the universes ${offered.join(', ')}`);
  };

  /** What a form's universe is asked for by: the configured file, where it is that one's name. */
  const meant = async (named: string): Promise<{ value: string; name: string; file: ConfigFile }> => {
    await requireOffered(named);
    const file = await configurationInForce(sql);
    return { file, ...((await findUniverse(file, named)) ?? { value: named, name: named }) };
  };

  act('/acts/night', { form: 'night', needs: 'operator' }, async (form, { name }) => {
    const { sessionDate } = form;
    const { value: universe } = await meant(form.universe);
    const run = await startNightFor({
      client,
      sql,
      input: {
        trigger: 'manual',
        universe,
        requestedBy: name,
        ...(sessionDate !== undefined && { sessionDate }),
      },
      why: form.why,
    });
    return `the night of ${sessionDate ?? 'the newest session'} (${form.universe}) is asked for as ${run.workflowId}`;
  });

  act('/acts/task', { form: 'task', needs: 'operator' }, async (form, caller) => {
    const { task, force, key } = form;
    const { file, ...universe } = await meant(form.universe);
    const sessionDate = form.sessionDate ?? (await usualSession(deps, { file, universe: universe.name }));
    await askForRun(deps, {
      universeName: universe.name,
      run: {
        requestId: await newRequestId(sql, { key: `page ${key}`, caller }),
        task,
        sessionDate,
        universe: universe.value,
        force: force === 'yes',
        requestedBy: caller.name,
      },
      why: form.why,
    });
    return `${words(task)} of ${sessionDate} (${form.universe}) is asked for`;
  });

  act('/acts/review', { form: 'review', needs: 'operator' }, async (form, { name: by }) => {
    const { runId, decision, attempts } = form;
    const row = await findTaskRun(sql, runId);
    if (row === null) throw new Problem('not-found', `there is no run ${runId}`);
    await decideRun(deps, { runId, decision, by, why: form.why, row, attempts });
    return `${words(row.task)} of ${row.sessionDate}: ${decision}`;
  });

  act('/acts/night-end', { form: 'end', needs: 'operator' }, async (form, { name: by }) => {
    const { sessionDate } = await endNight(deps, { ...form, by });
    return `the night of ${sessionDate} is ${ENDED[form.how]}`;
  });

  act('/acts/run-end', { form: 'end', needs: 'operator' }, async (form, { name: by }) => {
    await endSingleRun(deps, { ...form, by });
    return `the run is ${ENDED[form.how]}`;
  });

  act('/acts/retry', { form: 'retry', needs: 'operator' }, async (form, caller) => {
    const { runId, key, force, why: reason } = form;
    const asked = { runId, why: reason, force: force === 'yes', key: `page ${key}`, caller };
    const retried = await retryRun(deps, asked);
    return retried.runId === runId
      ? `${words(retried.task)} goes on`
      : `${words(retried.task)} is asked for again, as ${retried.runId}`;
  });

  act('/acts/schedule', { form: 'schedule', needs: 'operator' }, async (form, { name: by }) => {
    const { verb } = form;
    const asked = { client, scheduleId: form.scheduleId, by, why: form.why };
    if (verb === 'trigger') {
      const started = await triggerScheduleFor({ ...asked, sql });
      return started === null
        ? `${form.scheduleId} is asked to start; nothing is to be seen of it yet`
        : `${form.scheduleId} has started ${started.workflowId}`;
    }
    await setSchedulePaused({ ...asked, sql: pipelineSql, paused: verb === 'pause' });
    return `${form.scheduleId} is ${verb}d`;
  });

  act('/acts/backfill', { form: 'backfill', needs: 'operator' }, async (form, { name: by }) => {
    const { token, why: reason, ...range } = form;
    const begun = await confirmBackfill(deps, { range, token, by, why: reason });
    return `the backfill of ${begun.from} to ${begun.to} (${begun.universe}) has begun`;
  });

  act('/acts/cancel-backfill', { form: 'cancel-backfill', needs: 'operator' }, async (form, { name: by }) => {
    const asked = await orConflict(() => cancelBackfill({ client, sql, by, why: form.why }));
    return `the backfill of ${asked.from} to ${asked.to} is asked to stop`;
  });

  act('/acts/quarantine', { form: 'quarantine', needs: 'operator' }, async (form, { name: by }) => {
    const { row = null, ...key } = form;
    const { status } = await decideQuarantineFor(client, { ...key, row, by });
    return `${form.symbol} ${form.sessionDate}, ${form.subject}: ${status}`;
  });

  act('/acts/revoke', { form: 'revoke', needs: 'admin' }, async (form, { name: by }) => {
    const { tokenId } = form;
    if ((await findApiToken(sql, tokenId)) === null)
      throw new Problem('not-found', `there is no token ${tokenId}`);
    if (!(await revokeApiToken(sql, { tokenId, by, why: form.why })))
      throw new Problem('conflict', `${tokenId} was revoked before`);
    return `the token ${tokenId} is revoked; its logins end within two seconds`;
  });

  return app;
}

function back(c: PageContext, fields: Record<string, string>, flash: Parameters<typeof leaveFlash>[1]) {
  leaveFlash(c, flash);
  return c.redirect(ownPath(fields['back']), 303);
}

/** What an act's failure means for a person; null for what is our own mistake. */
function refusalOf(error: unknown): string | null {
  if (error instanceof WorkflowNotFoundError) return 'it is not running any more';
  if (isGrpcServiceError(error)) {
    const code: number = error.code;
    if (code === NOT_FOUND) return 'Temporal does not know it (any more)';
  }
  const problem = problemOf(error);
  const { cause } = problem;
  if (cause instanceof RunRefusedError && cause.missing.length > 0)
    return `${cause.missing.map(words).join(' and ')} did not succeed for that session; to run it all the same, tick “${FORCE_WORDS}”`;
  return problem.kind === 'internal-error' ? null : problem.message;
}

/** `grpc.status.NOT_FOUND`. */
const NOT_FOUND = 5;
