import { z } from 'zod';

const contributionSchema = z.object({
  feature: z.string(),
  value: z.number().nullable().catch(null),
  contribution: z.number(),
});
export type Contribution = z.infer<typeof contributionSchema>;

/** What moved a signal, as its row has it; entries that are none are left out. */
export function contributionsOf(reasons: unknown): Contribution[] {
  if (!Array.isArray(reasons)) return [];
  return reasons.flatMap((entry: unknown) => {
    const parsed = contributionSchema.safeParse(entry);
    return parsed.success ? [parsed.data] : [];
  });
}

const shapSchema = z.object({ feature: z.string(), meanAbsShap: z.number(), share: z.number() });
export type ShapShare = z.infer<typeof shapSchema>;

/** A model's features by their share of its mean |SHAP|; what is none is left out. */
export function shapSharesOf(top20: unknown): ShapShare[] {
  const parsed = z.array(shapSchema).safeParse(top20);
  return parsed.success ? parsed.data : [];
}
