import type { FC } from 'hono/jsx';
import type { EffectiveConfig } from '../../contracts/schemas/config.ts';
import { SCHEDULE_IDS, TASKS } from '../../contracts/wire/names.ts';
import type { ApiTokenRow } from '../../db/queries/api-tokens.ts';
import type { listAudit } from '../../db/queries/requests.ts';
import { nextRun } from '../../domain/schedule-times.ts';
import { XNYS_TIME_ZONE } from '../../providers/calendar-file.ts';
import type { Backfill } from '../../temporal/backfill.ts';
import type { ScheduleSummary } from '../../temporal/schedules.ts';
import { BackfillForm, BackfillState } from '../components/backfill.tsx';
import { Act, Badge, Notice, PageHead, Table, Time, Why } from '../components/parts.tsx';
import { UniverseLinks } from '../components/universes.tsx';
import { Value } from '../components/value.tsx';
import type { Chrome } from '../deps.ts';
import { limit, sentence, words } from '../format.ts';

const DAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];

/** Whichever zone the configuration has. */
const EXCHANGE = { timezone: XNYS_TIME_ZONE };

export type SettingsView = {
  universes: string[];
  /** Null: nothing has been applied yet. */
  config: EffectiveConfig | null;
  configHash: string | null;
  schedules: ScheduleSummary[] | null;
  /** The one that runs, else the last; null: none, or Temporal does not answer. */
  backfill: Backfill | null;
  tokens: ApiTokenRow[];
  audit: Awaited<ReturnType<typeof listAudit>>;
};

/** What is in force, when it runs, who may what, who did what. */
export const SettingsPage: FC<{ view: SettingsView; chrome: Chrome }> = ({ view, chrome }) => (
  <>
    <PageHead title="Settings">
      <p class="muted">
        What is in force. A changed file takes effect with <code>nightshift config apply</code>.
      </p>
    </PageHead>
    <Schedules schedules={view.schedules} />
    {view.config === null ? (
      <Notice tone="wait" title="No configuration is applied yet">
        <p>
          The first <code>nightshift up</code> applies the file.
        </p>
      </Notice>
    ) : (
      <>
        <section class="panel">
          <h2>Backfill</h2>
          <p class="muted">Nights of past sessions, one after the other. First you see which.</p>
          {view.backfill === null ? null : <BackfillState of={view.backfill} chrome={chrome} />}
          <BackfillForm
            universes={view.universes}
            fields={{ from: '', to: '', universe: view.config.universe, onlyMissing: true }}
          />
        </section>
        <Tasks config={view.config} schedules={view.schedules} chrome={chrome} />
        <Configuration view={view} config={view.config} />
      </>
    )}
    <Tokens tokens={view.tokens} chrome={chrome} />
    <Audit audit={view.audit} chrome={chrome} />
  </>
);

const Schedules: FC<Pick<SettingsView, 'schedules'>> = ({ schedules }) => (
  <section class="panel">
    <h2>Schedules</h2>
    {schedules === null ? (
      <p>Temporal does not answer, so their times are not known now.</p>
    ) : schedules.length === 0 ? (
      <p class="muted">
        There is none yet: <code>nightshift up</code> makes them.
      </p>
    ) : (
      <div class="cols">
        {schedules.map(({ scheduleId, paused, note, nextTimes, recentRuns }) => (
          <div>
            <h3>
              {scheduleId}{' '}
              {paused ? <Badge state="waiting" label="paused" /> : <Badge state="succeeded" label="on" />}
            </h3>
            {note === null ? null : <p class="small muted">{note}</p>}
            <Table
              caption={paused ? 'The next ten times if it were not paused' : 'The next ten times'}
              columns={[{ head: 'Exchange' }, { head: 'Here' }]}
              rows={nextTimes.slice(0, 10).map((at) => [
                <Time at={at} zone={EXCHANGE} />,
                <time class="nowrap" datetime={at} data-local="">
                  {at.slice(0, 16).replace('T', ' ')} UTC
                </time>,
              ])}
            />
            {recentRuns.length === 0 ? null : (
              <Table
                caption="What it started last"
                columns={[{ head: 'Due' }, { head: 'Workflow' }]}
                rows={recentRuns.map(({ dueAt, workflowId }) => [
                  <Time at={dueAt} zone={EXCHANGE} />,
                  <code>{workflowId}</code>,
                ])}
              />
            )}
          </div>
        ))}
      </div>
    )}
  </section>
);

const Tasks: FC<{ config: EffectiveConfig; schedules: ScheduleSummary[] | null; chrome: Chrome }> = (
  props,
) => {
  const { config, schedules, chrome } = props;
  const two = (value: number): string => String(value).padStart(2, '0');
  const isOn = (id: string): boolean =>
    schedules?.some((one) => one.scheduleId === id && !one.paused) ?? false;
  return (
    <section class="panel">
      <h2>Tasks</h2>
      <Table
        caption={`Times are clock times in ${config.timezone}`}
        columns={[
          { head: 'Task' },
          { head: 'At' },
          { head: 'Days' },
          { head: 'Needs' },
          { head: 'Timeout', numeric: true },
          { head: 'Attempts', numeric: true },
          { head: 'Last attempt fails' },
          { head: 'Next' },
        ]}
        rows={TASKS.map((task) => {
          const { taskId, enabled, hour, minute, daysOfWeek, timeoutMs, maxAttempts, review } =
            config.tasks[task];
          const schedule = task === 'weeklyMaintenance' ? SCHEDULE_IDS.weekly : SCHEDULE_IDS.nightly;
          const nextMs =
            enabled && isOn(schedule) ? nextRun(config.tasks[task], config.timezone, chrome.nowMs) : null;
          return [
            `${taskId} ${sentence(words(task))}`,
            `${two(hour)}:${two(minute)}`,
            daysOfWeek.length === 7 ? 'daily' : daysOfWeek.map((day) => DAYS[day] ?? '').join(', '),
            config.tasks[task].dependsOn.map(words).join(', ') || 'nothing',
            limit(timeoutMs),
            String(maxAttempts),
            review ? 'a person is asked' : 'it has failed',
            enabled ? (
              <Time at={nextMs === null ? null : new Date(nextMs).toISOString()} zone={chrome} />
            ) : (
              <Badge state="disabled" />
            ),
          ];
        })}
      />
    </section>
  );
};

const Configuration: FC<{ view: SettingsView; config: EffectiveConfig }> = ({ view, config }) => {
  const { tasks: _tasks, universe, ...settings } = config;
  return (
    <section class="panel">
      <h2>Configuration of {universe}</h2>
      <p class="small">
        Other universes:{' '}
        <UniverseLinks path="/settings" universes={view.universes.filter((name) => name !== universe)} />.
        File <code>{view.configHash?.slice(0, 12)}</code>
      </p>
      <Value value={settings} />
    </section>
  );
};

const Tokens: FC<{ tokens: ApiTokenRow[]; chrome: Chrome }> = ({ tokens, chrome }) => {
  const isAdmin = chrome.user?.role === 'admin';
  return (
    <section class="panel">
      <h2>Tokens</h2>
      <Table
        caption="Who may use the API and these pages. A new one: nightshift token create"
        columns={['Name', 'Role', 'Id', 'Made', 'By', isAdmin ? 'Revoke' : 'State'].map((head) => ({ head }))}
        rows={tokens.map((token) => [
          token.name,
          token.role,
          <code>{token.tokenId}</code>,
          <Time at={token.recordedAt} zone={chrome} />,
          token.createdBy,
          token.revokedAt !== null ? (
            <>
              <Badge state="cancelled" label="revoked" /> by {token.revokedBy},{' '}
              <Time at={token.revokedAt} zone={chrome} />
            </>
          ) : isAdmin ? (
            <details>
              <summary>
                Revoke<span class="hidden-words"> the token of {token.name}</span>
              </summary>
              <Act action="/acts/revoke" chrome={chrome} hidden={{ tokenId: token.tokenId }}>
                <Why id={`why-${token.tokenId}`} />
                <button type="submit" class="danger slim">
                  Revoke
                </button>
              </Act>
            </details>
          ) : (
            <Badge state="succeeded" label="valid" />
          ),
        ])}
      />
    </section>
  );
};

const Audit: FC<Pick<SettingsView, 'audit'> & { chrome: Chrome }> = ({ audit, chrome }) => (
  <section class="panel">
    <h2>Audit</h2>
    <div class="field">
      <label for="find-act">Find</label>
      <input type="search" id="find-act" data-filter="audit" autocomplete="off" />
      <p class="small muted" id="find-act-found" role="status" />
    </div>
    <Table
      id="audit"
      caption={`What people did, newest first${audit.length === AUDIT_ROWS ? `: the last ${AUDIT_ROWS}` : ''}`}
      columns={['At', 'Who', 'What', 'About', 'Why'].map((head) => ({ head, long: head === 'Why' }))}
      rows={audit.map(({ at, actor, action, subject, why }) => [
        <Time at={at} zone={chrome} seconds />,
        actor,
        action.replace('.', ' '),
        subject,
        why ?? '',
      ])}
    />
  </section>
);

export const AUDIT_ROWS = 100;
