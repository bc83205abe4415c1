import { type QueryArrayResult, types } from 'pg';

/** A row of a query that names no type. */
export type Row = Record<string, unknown>;
type Parser = (raw: string) => unknown;

const asIs: Parser = (raw) => raw;
const parseNumber: Parser = Number;
const parseJson: Parser = (raw): unknown => JSON.parse(raw);
const parseInstant: Parser = (raw) => new Date(raw).toISOString();

/**
 * Types on our side of the connection, by their numbers in pg_type: `bigint` is a number (ids and counts stay far
 * below 2^53), `timestamptz` an ISO instant in UTC. Every other type is its text: `date` the exchange's `YYYY-MM-DD`.
 */
const PARSERS = new Map<number, Parser>([
  [16, (raw) => raw === 't'],
  [17, (raw) => Buffer.from(raw.slice(2), 'hex')],
  ...[20, 21, 23, 26, 700, 701].map((oid): [number, Parser] => [oid, parseNumber]),
  [114, parseJson],
  [3802, parseJson],
  [1184, parseInstant],
]);

/** Arrays and their elements: bool, bytea, the numbers, json and jsonb, timestamptz; then those of texts. */
const ELEMENTS = new Map<number, number>([
  [1000, 16],
  [1001, 17],
  [1016, 20],
  [1005, 21],
  [1007, 23],
  [1028, 26],
  [1021, 700],
  [1022, 701],
  [199, 114],
  [3807, 3802],
  [1185, 1184],
  ...[1002, 1003, 1009, 1014, 1015, 1041, 1115, 1182, 1183, 1187, 1231, 2951, 2210, 2211].map(
    (oid): [number, number] => [oid, 25],
  ),
]);

const TEXT_ARRAY: number = 1009;
const splitArray: Parser = types.getTypeParser(TEXT_ARRAY);

function parserOf(oid: number): Parser {
  const element = ELEMENTS.get(oid);
  if (element === undefined) return PARSERS.get(oid) ?? asIs;
  const parse = PARSERS.get(element) ?? asIs;
  return (raw) => parseElements(splitArray(raw), parse);
}

/** A null among numbers is NaN: such lists are vectors. */
function parseElements(value: unknown, parse: Parser): unknown {
  if (Array.isArray(value)) return value.map((one: unknown) => parseElements(one, parse));
  if (typeof value === 'string') return parse(value);
  return parse === parseNumber ? Number.NaN : null;
}

/** For `types` of a pg client: our parsers instead of its own. */
export const ROW_TYPES = { getTypeParser: parserOf };

/** Rows with camelCase columns; keys inside jsonb stay as they were written. */
export function namedRows(result: QueryArrayResult<unknown[]>): Row[] {
  const names = result.fields.map(({ name }) => toCamel(name));
  return result.rows.map((values) => {
    const row: Row = {};
    for (let index = 0; index < names.length; index += 1) row[names[index] ?? ''] = values[index];
    return row;
  });
}

function toCamel(name: string): string {
  return name.slice(0, 1) + name.slice(1).replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}
