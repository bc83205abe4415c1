/** Details of a night in the Temporal Web UI (Markdown): where a person finds what. */
export const NIGHT_DETAILS = [
  'Ingestion, then training and backtest, then the overnight scan (after training) and drift monitoring (after both).',
  '',
  '- while it runs: each task with its state under *Current Details* (asks a running worker)',
  '- how each task ended: *Memo*; the tasks themselves: *Relationships*',
  '- a night that lost only some tasks is *Completed* with the search attribute `RunState` `partial`',
].join('\n');
