import { z } from 'zod';
import { ML_ACTIVITY_NAMES, ML_ARTIFACTS, ML_CONTRACT } from './ml.ts';
import { runReportSchema } from './report.ts';

/** JSON Schema (draft 2020-12) text of one zod schema, stable from run to run. */
function schemaText(title: string, schema: z.ZodType): string {
  const { $schema, ...rest } = z.toJSONSchema(schema, { target: 'draft-2020-12' });
  return `${JSON.stringify({ $schema, title, ...rest }, null, 2)}\n`;
}

/** Every published schema: file name in `contract/` → text. Python and other readers validate against these. */
export function contractFiles(): Record<string, string> {
  const files: Record<string, string> = {};
  for (const name of ML_ACTIVITY_NAMES) {
    files[`${name}.input.schema.json`] = schemaText(`${name} input`, ML_CONTRACT[name].input);
    files[`${name}.output.schema.json`] = schemaText(`${name} output`, ML_CONTRACT[name].output);
  }
  for (const [name, schema] of Object.entries(ML_ARTIFACTS)) {
    files[`${name}.schema.json`] = schemaText(name, schema);
  }
  files['run-report.schema.json'] = schemaText('Nightshift run report', runReportSchema);
  files['run-report-file.schema.json'] = reportFileText();
  return files;
}

/** What `--json FILE` writes: one report, or with `--from` and `--to` the list of them in order of their sessions. */
function reportFileText(): string {
  const { $schema, $defs, ...report } = z.toJSONSchema(runReportSchema, { target: 'draft-2020-12' });
  const one = { $ref: '#/$defs/report' };
  const schema = {
    $schema,
    title: 'Nightshift report file: one night, or a list after --from and --to',
    oneOf: [one, { type: 'array', items: one }],
    // References of the report are from the root of the file it stands in.
    $defs: { ...$defs, report },
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}
