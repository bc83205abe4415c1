import type { QuarantineRow } from '../../db/queries/quarantine.ts';
import { UsageError } from '../exit-codes.ts';

/** A row as a person names it: subject and provider where one of them is not enough. */
export type AskedRow = { symbol: string; sessionDate: string; subject?: string; provider?: string };

/** The only row of that symbol and date that fits. Throws UsageError saying what is missing to tell several apart. */
export function chooseRow<Row extends Pick<QuarantineRow, 'sessionDate' | 'subject' | 'provider'>>(
  rows: readonly Row[],
  asked: AskedRow,
): Row {
  const { symbol, sessionDate, subject, provider } = asked;
  const found = rows.filter(
    (row) =>
      row.sessionDate === sessionDate &&
      row.subject === (subject ?? row.subject) &&
      row.provider === (provider ?? row.provider),
  );
  const [only] = found;
  if (only === undefined) {
    throw new UsageError(
      `symbol: no quarantined row ${symbol} ${sessionDate} (\`nightshift quarantine list\`)`,
    );
  }
  const subjects = new Set(found.map((row) => row.subject));
  if (subjects.size > 1) throw new UsageError(`--subject: ${[...subjects].join(', ')} are there, name one`);
  if (found.length > 1) {
    const names = found.map((row) => row.provider).join(', ');
    throw new UsageError(`--provider: rows of ${names} are there, name one`);
  }
  return only;
}
