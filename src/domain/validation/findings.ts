import { sessionDateOf } from '../bars.ts';
import {
  BAR_DOUBTFUL,
  BAR_IMPOSSIBLE,
  type BarFinding,
  DOUBTFUL_CODES,
  IMPOSSIBLE_CODES,
  type ReasonCode,
  type Severity,
} from './types.ts';

const SEVERITIES: ReadonlyMap<ReasonCode, Severity> = new Map([
  ...IMPOSSIBLE_CODES.map((code) => [code, 'impossible'] as const),
  ...DOUBTFUL_CODES.map((code) => [code, 'doubtful'] as const),
]);

export function severityOf(code: ReasonCode): Severity {
  return SEVERITIES.get(code) ?? 'note';
}

/** What a check found: the row, and the session (epoch day) at whose close it is known. */
export interface RawFinding {
  readonly row: number;
  readonly code: ReasonCode;
  readonly reason: string;
  readonly knownDay: number;
}

/** Collects the findings of one symbol; the same code twice for a row keeps the earlier known one. */
export class FindingList {
  private readonly found = new Map<string, RawFinding>();

  add(finding: RawFinding): void {
    const key = `${finding.row}:${finding.code}`;
    const before = this.found.get(key);
    if (before === undefined || finding.knownDay < before.knownDay) this.found.set(key, finding);
  }

  /** True if the row has a finding that is no note and known by that day. */
  isSuspect(row: number, knownByDay: number): boolean {
    for (const code of DOUBTFUL_CODES) {
      const finding = this.found.get(`${row}:${code}`);
      if (finding !== undefined && finding.knownDay <= knownByDay) return true;
    }
    return false;
  }

  /** Findings known in `[fromDay, throughDay]`, with dates and severities, and the row states they make. */
  finish(input: {
    readonly symbol: string;
    readonly epochDays: Int32Array;
    readonly fromDay: number;
    readonly throughDay: number;
  }): { readonly findings: readonly BarFinding[]; readonly states: Uint8Array } {
    const { symbol, epochDays, fromDay, throughDay } = input;
    const states = new Uint8Array(epochDays.length);
    const findings = [...this.found.values()]
      .filter((finding) => finding.knownDay >= fromDay && finding.knownDay <= throughDay)
      .sort((a, b) => a.row - b.row || (a.code < b.code ? -1 : 1))
      .map(({ row, code, reason, knownDay }): BarFinding => {
        const epochDay = epochDays[row] ?? 0;
        const severity = severityOf(code);
        const state = severity === 'impossible' ? BAR_IMPOSSIBLE : severity === 'doubtful' ? BAR_DOUBTFUL : 0;
        states[row] = Math.max(states[row] ?? 0, state);
        return {
          symbol,
          row,
          epochDay,
          sessionDate: sessionDateOf(epochDay),
          severity,
          code,
          reason,
          availableAtSession: sessionDateOf(knownDay),
        };
      });
    return { findings, states };
  }
}

/** Price for people: as many digits as it has, at most four. */
export function price(value: number): string {
  return Number.isNaN(value) ? 'null' : String(Math.round(value * 10_000) / 10_000);
}

/** A logarithmic move as a signed percentage. */
export function percent(logMove: number): string {
  const value = Math.expm1(logMove) * 100;
  return `${value >= 0 ? '+' : ''}${value.toFixed(1)} %`;
}
