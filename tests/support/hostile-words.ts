import * as fc from 'fast-check';

/** Stands in every hostile text, so that it is found wherever it went. */
export const MARK = 'zq7mark';

const ATTACKS = [
  "' or 1=1 --",
  "'; drop table ops.audit; --",
  '"; select pg_sleep(60); --',
  "') union select secret_hash from ops.api_tokens --",
  "\\' or true #",
  '$1',
  '${sql}',
  '%',
  '*/ or /*',
  "' OR WorkflowType = 'nightlyPipeline",
  "' AND ExecutionStatus = 'Running",
  '../../secrets.json',
  '..%2f..%2fsecrets.json',
  '<script>',
  '\r\nx-injected: 1',
  '\u202e',
  '🦄',
  ' ',
  '',
] as const;

/** Texts that would do harm where somebody put them into a statement, a query of Temporal, a path or a page. */
export const hostileText = fc
  .tuple(fc.constantFrom(...ATTACKS), fc.string({ unit: 'grapheme', maxLength: 12 }), fc.boolean())
  .map(([attack, more, isFirst]) => (isFirst ? `${attack}${MARK}${more}` : `${MARK}${attack}${more}`));
