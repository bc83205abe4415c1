import { z } from '@hono/zod-openapi';
import { type RunReport, runReportSchema } from '../contracts/schemas/report.ts';

type JsonSchema = Record<string, unknown>;

const {
  $schema: _draft,
  $defs = {},
  ...report
} = z.toJSONSchema(runReportSchema, { target: 'draft-2020-12' });

/** What a component of the document is called that the report's file keeps in its `$defs`. */
const partName = (name: string): string => `RunReport.${name.replace(/^_+/, '')}`;

/** References from the root of the report's file lead to components of the document. */
function moved(schema: unknown): JsonSchema {
  const text = JSON.stringify(schema);
  return JSON.parse(text, (key, value: unknown) =>
    key === '$ref' && typeof value === 'string'
      ? value.replace(/^#\/\$defs\/(.*)$/, (_whole, name: string) => `#/components/schemas/${partName(name)}`)
      : value,
  ) as JsonSchema;
}

/** Schemas that `reportSchema` refers to, by the name of their component. */
export const reportParts: Readonly<Record<string, JsonSchema>> = Object.fromEntries(
  Object.entries($defs).map(([name, schema]) => [partName(name), moved(schema)]),
);

/** The report of a night, described as `contract/run-report.schema.json` does; it is checked where it is read. */
export const reportSchema = z
  .custom<RunReport>()
  .openapi('RunReport', { description: 'As `nightly --json` writes it', ...moved(report), type: 'object' });
