/** Decisions of people about market data: inputs and answers of their workflows and activities. Types only. */

export type QuarantineDecision = 'release' | 'reject';

export type QuarantineDecisionInput = {
  symbol: string;
  sessionDate: string;
  /** `split 7:1` or `gap`; absent: a bar. */
  subject?: string;
  provider: string;
  decision: QuarantineDecision;
  /** Which of several delivered bars to release, from 1; null where there is one. */
  row: number | null;
  by: string;
  why: string;
};

/** The decision as it stands: of who made it first, also for who asks for the same again. */
export type QuarantineDecisionResult = {
  symbol: string;
  sessionDate: string;
  provider: string;
  status: 'released' | 'rejected';
  decidedBy: string;
  decidedAt: string;
  why: string;
};

export type SessionChangeKind = 'closed' | 'hours' | 'remove';

export type SessionOverrideInput = {
  sessionDate: string;
  change: SessionChangeKind;
  /** Exchange clock, `HH:MM`; for `hours` only. `open` null: as the calendar file has it. */
  open: string | null;
  close: string | null;
  by: string;
  why: string;
};

/** The override of a date as it stands; `open` and `close` as instants, null for a closed session. */
export type SessionOverrideResult = {
  sessionDate: string;
  state: 'closed' | 'hours' | 'removed';
  openAt: string | null;
  closeAt: string | null;
  decidedBy: string;
  decidedAt: string;
  why: string;
};

/** Activities of the `market-data` queue, in the role `ingest`. `workflowId` goes into the rows as provenance. */
export type DecisionActivities = {
  decideQuarantine(
    input: QuarantineDecisionInput & { workflowId: string },
  ): Promise<QuarantineDecisionResult>;
  overrideSession(input: SessionOverrideInput & { workflowId: string }): Promise<SessionOverrideResult>;
};
