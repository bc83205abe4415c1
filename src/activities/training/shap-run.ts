import type { ArtifactStore } from '../../artifacts/store.ts';
import type { Explanation } from '../../contracts/activities.ts';
import { type ShapArtifact, shapArtifactSchema } from '../../contracts/schemas/ml.ts';
import type { Model } from '../../contracts/wire/names.ts';
import { failure } from '../errors.ts';

export type ShapRun = { file: string; artifacts: ShapArtifact[] };

/**
 * One JSON file per run with the explanations of all models: `shap/shap_run_<runId>.json`. Each stays in its own
 * space (log-odds or probability). Fails with DataDefect for an explanation that is not one.
 */
export async function writeShapRun(
  artifacts: ArtifactStore,
  input: {
    runId: string;
    version: string;
    sessionDate: string;
    universe: string;
    explanations: readonly { model: Model; explanation: Explanation }[];
  },
): Promise<ShapRun> {
  const models = await Promise.all(
    input.explanations.map(async ({ model, explanation }) => {
      const parsed = shapArtifactSchema.safeParse(await readJson(artifacts, explanation.shapHash));
      if (!parsed.success || parsed.data.model !== model) {
        throw failure('DataDefect', `${explanation.shapHash} is not the explanation of ${model}`);
      }
      return parsed.data;
    }),
  );
  const file = `shap/shap_run_${input.runId.replaceAll(/[^\w.=+@-]/g, '_')}.json`;
  const { runId, version, sessionDate, universe } = input;
  const text = JSON.stringify({ schemaVersion: 1, runId, version, sessionDate, universe, models }, null, 1);
  await artifacts.putNamed(file, new TextEncoder().encode(`${text}\n`));
  return { file, artifacts: models };
}

/** A JSON object of the store. */
export async function readJson(artifacts: ArtifactStore, hash: string): Promise<unknown> {
  return JSON.parse(new TextDecoder().decode(await artifacts.get(hash)));
}
