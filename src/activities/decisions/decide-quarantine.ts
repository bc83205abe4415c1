import type { QuarantineDecisionInput, QuarantineDecisionResult } from '../../contracts/decisions.ts';
import type { Tx } from '../../db/client.ts';
import { insertFlags, lowerValidationState } from '../../db/queries/bars-write.ts';
import { insertEvents } from '../../db/queries/events.ts';
import {
  closeQuarantineRow,
  insertReleasedBar,
  lockQuarantineRow,
  type QuarantineRow,
  type RawBar,
} from '../../db/queries/quarantine.ts';
import { startInstrument } from '../../db/queries/reference.ts';
import { insertAudit } from '../../db/queries/requests.ts';
import { firstNightKnowing } from '../../domain/knowledge.ts';
import { whyNotStorable } from '../../domain/validation/storable.ts';
import { XNYS_TIME_ZONE } from '../../providers/calendar-file.ts';
import { readExchangeCalendar } from '../calendar.ts';
import { failure } from '../errors.ts';
import type { DecisionDeps } from './deps.ts';
import { requireNamed } from './named.ts';

type Input = QuarantineDecisionInput & { subject: string; workflowId: string };

/**
 * One decision about one row, in one transaction with its audit row. A released bar is stored with a note and an
 * event, known from now on; a rejected one stays out. A released split is applied, a released gap joins what it
 * parts, a rejected one ends the older company; nights see it from now on. Nothing is made of dividends: a decision
 * about one closes the question. The same decision again gives the answer
 * of the first; another one fails with AlreadyDecided, an unknown row or one that cannot be a bar with InvalidInput.
 */
export async function decideQuarantine(
  deps: DecisionDeps,
  given: QuarantineDecisionInput & { workflowId: string },
): Promise<QuarantineDecisionResult> {
  const input = { ...given, subject: given.subject ?? 'bar' };
  requireNamed(input);
  const status = statusOf(input);
  const subject = subjectOf(input);
  return await deps.db.sql.begin(async (tx) => {
    const row = await lockQuarantineRow(tx, input);
    if (row === null) throw failure('InvalidInput', `no quarantined row: ${subject}`);
    if (row.status !== 'pending') return decidedBefore(row, input);
    const at = deps.clock().toISOString();
    if (row.subject !== 'bar') await tellOthers(tx, { row, input, status, at });
    else if (status === 'released') await release(deps, tx, { row, input, at });
    await closeQuarantineRow(tx, { ...input, status, at });
    await insertAudit(tx, {
      actor: input.by,
      action: `quarantine.${status}`,
      subject,
      why: input.why,
      details: { workflowId: input.workflowId, codes: row.codes, row: input.row },
    });
    const { symbol, sessionDate, provider, by, why } = input;
    return { symbol, sessionDate, provider, status, decidedBy: by, decidedAt: at, why };
  });
}

function statusOf({ decision }: Input): 'released' | 'rejected' {
  if (decision === 'release') return 'released';
  if (decision === 'reject') return 'rejected';
  throw failure('InvalidInput', `decision: ${String(decision)} is none of release, reject`);
}

function subjectOf({ symbol, sessionDate, subject, provider }: Input): string {
  return subject === 'bar'
    ? `${symbol} ${sessionDate} ${provider}`
    : `${symbol} ${sessionDate} ${subject} ${provider}`;
}

function decidedBefore(row: QuarantineRow, input: Input): QuarantineDecisionResult {
  const { symbol, sessionDate, provider, status } = row;
  const decidedBy = row.decidedBy ?? 'unknown';
  const why = row.decisionReason ?? '';
  const decidedAt = row.decidedAt ?? row.recordedAt;
  if (status !== 'pending' && status === statusOf(input)) {
    return { symbol, sessionDate, provider, status, decidedBy, decidedAt, why };
  }
  throw failure(
    'AlreadyDecided',
    `${subjectOf(input)} was ${status} by ${decidedBy} at ${decidedAt}: ${why}; a decision is not undone`,
  );
}

/**
 * An event for what was made without the decision. A rejected split was not applied before either, and nothing is
 * made of dividends.
 */
async function tellOthers(
  tx: Tx,
  context: { row: QuarantineRow; input: Input; status: 'released' | 'rejected'; at: string },
): Promise<void> {
  const { row, input, status, at } = context;
  const { symbol, sessionDate, subject } = row;
  if (input.row !== null)
    throw failure('InvalidInput', `${subjectOf(input)}: there are no rows to choose from`);
  const isGap = subject === 'gap';
  if (subject.startsWith('dividend ') || (!isGap && status === 'rejected')) return;
  if (isGap && status === 'rejected') await startInstrument(tx, { symbol, validFrom: sessionDate });
  await insertEvents(tx, [
    {
      kind: isGap ? 'gap.decided' : 'split.released',
      subject: symbol,
      sessionDate,
      details: { availableAt: at, subject, status, by: input.by },
      taskRunId: input.workflowId,
    },
  ]);
}

async function release(
  deps: DecisionDeps,
  tx: Tx,
  { row, input, at }: { row: QuarantineRow; input: Input; at: string },
): Promise<void> {
  const { symbol, sessionDate, provider, priceBasis } = row;
  const subject = subjectOf(input);
  const refuse = (why: string) => failure('InvalidInput', `${subject} cannot be released: ${why}`);
  const raw = chosenRow(row, input, refuse);
  const problem = whyNotStorable(raw);
  if (problem !== null) throw refuse(problem);
  const calendar = await readExchangeCalendar({ sql: tx, sessions: deps.sessions, timeZone: XNYS_TIME_ZONE });
  const inside = sessionDate >= calendar.first && sessionDate <= calendar.last;
  if (!inside || !calendar.isSession(sessionDate)) {
    throw refuse(
      `${calendar.exchange} was closed on ${sessionDate} (\`nightshift calendar override\` corrects that)`,
    );
  }
  const taskRunId = input.workflowId;
  const bar = { symbol, sessionDate, provider, priceBasis, raw, availableAt: at, taskRunId };
  if (!(await insertReleasedBar(tx, bar))) throw refuse('a bar of that session is stored already; reject it');
  await insertFlags(tx, {
    flags: [
      {
        symbol,
        sessionDate,
        kind: 'released',
        severity: 'note',
        reason: `released from quarantine by ${input.by}: ${input.why} (${row.reason})`,
        availableSession: firstNightKnowing(calendar, Date.parse(at)),
      },
    ],
    scope: '',
    taskRunId,
  });
  await lowerValidationState(tx, new Map([[symbol, sessionDate]]));
  await insertEvents(tx, [
    {
      kind: 'bar.released',
      subject: symbol,
      sessionDate,
      details: { availableAt: at, provider, by: input.by, after: raw },
      taskRunId,
    },
  ]);
}

/** The delivered row to release: a person has to say which where several differ. */
function chosenRow(row: QuarantineRow, input: Input, refuse: (why: string) => Error): RawBar {
  const rows = row.raw;
  const distinct = new Set(
    rows.map(({ open, high, low, close, volume }) => [open, high, low, close, volume].join()),
  );
  if (input.row === null && distinct.size > 1) {
    throw refuse(`${rows.length} different rows were delivered, say which one (--row 1 to ${rows.length})`);
  }
  const chosen = rows[(input.row ?? 1) - 1];
  if (chosen === undefined) throw refuse(`there is no row ${input.row ?? 1} of ${rows.length}`);
  return chosen;
}
