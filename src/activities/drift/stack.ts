import { z } from 'zod';
import type { Probabilities } from '../datasets/tables.ts';
import { MODELS } from '../../contracts/wire/names.ts';

/** What `fitMeta` stores of a version's stack: p = sigmoid(a · (weights · base log-odds + intercept) + b). */
const stackSchema = z.object({
  coefficients: z.record(z.string(), z.number()),
  intercept: z.number(),
  calibrator: z.object({ a: z.number(), b: z.number() }),
  usable: z.boolean(),
  reason: z.string().nullable(),
});
export type Stack = z.infer<typeof stackSchema>;

/** Reads a meta artifact. Throws ZodError for anything else. */
export function parseStack(bytes: Uint8Array): Stack {
  return stackSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
}

/** Probabilities are kept this far from 0 and 1 before their log-odds are taken, as in ml/nightshift_ml/meta.py. */
const EDGE = 1e-6;

/** The stack's probability of each row from the base models' probabilities; NaN where one of them is missing. */
export function stackProbabilities(stack: Stack, base: Probabilities): Float64Array {
  const parts = MODELS.flatMap((model) => {
    const weight = stack.coefficients[model];
    return weight === undefined ? [] : [{ weight, values: base[model] }];
  });
  const { a, b } = stack.calibrator;
  return Float64Array.from({ length: parts[0]?.values.length ?? 0 }, (_, row) => {
    let margin = stack.intercept;
    for (const { weight, values } of parts) margin += weight * logit(values[row] ?? Number.NaN);
    return 1 / (1 + Math.exp(-(a * margin + b)));
  });
}

function logit(probability: number): number {
  const p = Math.min(1 - EDGE, Math.max(EDGE, probability));
  return Math.log(p) - Math.log1p(-p);
}
