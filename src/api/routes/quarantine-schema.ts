import { z } from '@hono/zod-openapi';
import type { QuarantineRow } from '../../db/queries/quarantine.ts';
import { keyText } from '../key-pages.ts';

const price = () => z.number().nullable();

/** A row in quarantine: impossible bars, splits and dividends that prices deny, tickers after a long gap. */
export const quarantineFields = {
  id: z.string().openapi({ description: 'For release and reject' }),
  symbol: z.string(),
  sessionDate: z.string(),
  subject: z
    .string()
    .openapi({ example: 'bar', description: '`bar`, `split 7:1`, `dividend 12.5` or `gap`' }),
  provider: z.string(),
  priceBasis: z.string(),
  codes: z.array(z.string()),
  reason: z.string(),
  raw: z
    .array(z.object({ open: price(), high: price(), low: price(), close: price(), volume: price() }))
    .openapi({ description: 'Each delivered bar word for word; empty for what is no bar' }),
  status: z.enum(['pending', 'released', 'rejected']),
  decidedBy: z.string().nullable(),
  decidedAt: z.string().nullable(),
  decisionReason: z.string().nullable(),
  availableAt: z.string(),
  recordedAt: z.string(),
};
type Quarantined = z.infer<z.ZodObject<typeof quarantineFields>>;

/** Key of a row as its id says it. */
export function quarantineKey({
  symbol,
  sessionDate,
  subject,
  provider,
}: Pick<QuarantineRow, 'symbol' | 'sessionDate' | 'subject' | 'provider'>) {
  return [symbol, sessionDate, subject, provider] as const;
}

export function quarantinedOf(row: QuarantineRow): Quarantined {
  const { symbol, sessionDate, subject, provider, priceBasis, codes, reason, raw, status } = row;
  return {
    id: keyText(quarantineKey(row)),
    symbol,
    sessionDate,
    subject,
    provider,
    priceBasis,
    codes,
    reason,
    raw: raw.map(({ open, high, low, close, volume }) => ({ open, high, low, close, volume })),
    status,
    decidedBy: row.decidedBy,
    decidedAt: row.decidedAt,
    decisionReason: row.decisionReason,
    availableAt: row.availableAt,
    recordedAt: row.recordedAt,
  };
}
