import type { FC } from 'hono/jsx';
import { MODELS } from '../../contracts/wire/names.ts';
import type { PromotionRow } from '../../db/queries/result-models.ts';
import type { ModelMetricRow, ShapRow, StoredModelVersion } from '../../db/queries/training.ts';
import { BarTable, CalibrationCurve, type CurvePoint } from '../components/charts.tsx';
import { Badge, BiasNotice, Empty, Facts, PageHead, Table, Time } from '../components/parts.tsx';
import { UniverseNav } from '../components/universes.tsx';
import type { Chrome } from '../deps.ts';
import { count, fixed, percent, sentence, signed, words } from '../format.ts';
import { shapSharesOf } from '../reasons.ts';

export type ModelsView = {
  universe: string;
  universes: string[];
  versions: StoredModelVersion[];
  shown: StoredModelVersion | null;
  current: StoredModelVersion | null;
  promotions: PromotionRow[];
  metrics: ModelMetricRow[];
  shap: ShapRow[];
  /** Of the stack or its baseline, from the backtest of the same predictions; null: there are no outcomes yet. */
  calibration: { model: string; points: CurvePoint[] } | null;
};

const METRICS = [
  ['auc', 'AUC'],
  ['ic', 'IC'],
  ['logLoss', 'Log loss'],
  ['brier', 'Brier'],
  ['calibrationSlope', 'Calibration slope'],
] as const;
const ORDER: readonly string[] = [...MODELS, 'meta', 'meanLogit'];
const SHAP_SHOWN = 10;

/** Versions, what is in use and since when, metrics beside baselines, calibration, what the models look at. */
export const ModelsPage: FC<{ view: ModelsView; chrome: Chrome }> = ({ view, chrome }) => {
  const { universe, shown, current, versions } = view;
  if (shown === null) {
    return (
      <>
        <PageHead title="Models" />
        <Empty title="No model yet">
          <p>
            Training (task 2) makes a version every night. <a href="/">Tonight</a> shows whether it has run.
          </p>
        </Empty>
      </>
    );
  }
  const since = view.promotions.find(({ version }) => version === current?.version)?.effectiveFromSession;
  return (
    <>
      <PageHead
        title="Models"
        aside={<UniverseNav path="/models" universes={view.universes} universe={universe} />}
      >
        <p class="muted">
          Universe {universe}.{' '}
          {current === null
            ? 'No version is in use.'
            : `In use: ${current.version}${since === undefined ? '' : `, from session ${since} on`}.`}
        </p>
      </PageHead>
      <BiasNotice of={shown} />
      <section class="panel">
        <h2>
          Version {shown.version} <Gate accepted={shown.accepted} />
        </h2>
        <Facts
          rows={[
            ['Trained by the night of', shown.sessionDate],
            ['In use', current?.version === shown.version ? 'yes, by the next night' : 'no'],
            ['Gate', gateOf(shown.gate)],
            [
              'Label',
              `${shown.labelKind}, ${shown.horizonSessions === 1 ? '1 session' : `${shown.horizonSessions} sessions`} ahead`,
            ],
            ['Made', <Time at={shown.recordedAt} zone={chrome} />],
            ['Seed, threads', `${shown.seed}, ${shown.threads}`],
          ]}
        />
      </section>
      <Metrics metrics={view.metrics} verdicts={shown.verdicts} />
      <div class="cols">
        <section class="panel">
          <h2>Calibration</h2>
          {view.calibration === null ? (
            <p class="muted">
              The backtest (task 4) of this version's predictions computes it; there are none with outcomes
              yet.
            </p>
          ) : (
            <>
              <p class="muted">
                {view.calibration.model === 'meta'
                  ? 'Of the stack, out of sample: realised share against predicted probability.'
                  : 'Realised share against predicted probability, of the mean of the base models: the stack has no predictions out of sample yet.'}
              </p>
              <CalibrationCurve points={view.calibration.points} />
              <details>
                <summary>Numbers</summary>
                <Table
                  caption="Deciles of the predicted probability, out of sample; 95 % intervals"
                  columns={[
                    { head: 'Predicted', numeric: true },
                    { head: 'Realised', numeric: true },
                    { head: 'Interval' },
                  ]}
                  rows={view.calibration.points.map(({ x, y, low, high }) => [
                    fixed(x),
                    fixed(y),
                    `${fixed(low, 3)} to ${fixed(high, 3)}`,
                  ])}
                />
              </details>
            </>
          )}
        </section>
        <section class="panel">
          <h2>What the models look at</h2>
          <Shap shap={view.shap} />
        </section>
      </div>
      <section class="panel">
        <h2>Versions</h2>
        <Table
          caption="Newest first"
          columns={['Version', 'Night', 'Gate', 'Made'].map((head) => ({ head }))}
          current={versions.findIndex(({ version }) => version === current?.version)}
          rows={versions.map((one) => [
            <a href={`/models?version=${encodeURIComponent(one.version)}`}>{one.version}</a>,
            <span class="nowrap">{one.sessionDate}</span>,
            <>
              <Gate accepted={one.accepted} />{' '}
              {one.version === current?.version ? <Badge state="running" label="in use" /> : null}
            </>,
            <Time at={one.recordedAt} zone={chrome} />,
          ])}
        />
        <Table
          caption="Which version is in use from when on: promote and rollback with nightshift model"
          columns={['From session', 'Version', 'How', 'By', 'Why'].map((head) => ({
            head,
            long: head === 'Why',
          }))}
          rows={view.promotions.map(({ effectiveFromSession, version, kind, decidedBy, why }) => [
            effectiveFromSession,
            <span class="nowrap">{version}</span>,
            kind,
            decidedBy,
            why,
          ])}
        />
      </section>
    </>
  );
};

const Gate: FC<{ accepted: boolean }> = ({ accepted }) =>
  accepted ? <Badge state="succeeded" label="accepted" /> : <Badge state="failed" label="rejected" />;

function gateOf(gate: unknown): string {
  return typeof gate === 'object' && gate !== null && 'reason' in gate && typeof gate.reason === 'string'
    ? sentence(gate.reason)
    : '–';
}

function verdictOf(verdicts: unknown, model: string): string {
  if (typeof verdicts !== 'object' || verdicts === null) return '–';
  const own: unknown = Reflect.get(verdicts, model);
  if (typeof own !== 'object' || own === null || !('verdict' in own)) return '–';
  return own.verdict === 'edge' ? 'edge' : 'no edge';
}

const Metrics: FC<{ metrics: readonly ModelMetricRow[]; verdicts: unknown }> = ({ metrics, verdicts }) => {
  const clean = metrics.filter(({ metric }) => !metric.startsWith('withFlagged.'));
  const names = [...new Set(clean.map(({ model }) => model))].toSorted((a, b) => place(a) - place(b));
  const cell = (model: string, metric: string) => {
    const row = clean.find((one) => one.model === model && one.metric === metric);
    if (row === undefined || row.value === null) return '–';
    const interval =
      row.lower === null || row.upper === null ? null : `[${fixed(row.lower)}, ${fixed(row.upper)}]`;
    return (
      <>
        {fixed(row.value)}
        {interval === null ? null : <span class="small muted"> {interval}</span>}
      </>
    );
  };
  return (
    <section class="panel">
      <h2>Metrics beside the baselines</h2>
      <Table
        caption="Out of sample, with 95 % intervals. AUC over 0.5, IC over 0 and a lower log loss are better"
        columns={[
          { head: 'Model' },
          ...METRICS.map(([, head]) => ({ head, numeric: true })),
          { head: 'Rows', numeric: true },
          { head: 'Verdict' },
        ]}
        rows={names.map((name) => [
          ORDER.includes(name) ? words(name) : <span class="muted">{words(name)} (baseline)</span>,
          ...METRICS.map(([metric]) => cell(name, metric)),
          count(clean.find((one) => one.model === name && one.metric === 'rows')?.value),
          ORDER.includes(name) && name !== 'meanLogit' ? verdictOf(verdicts, name) : 'baseline',
        ])}
      />
    </section>
  );
};

function place(model: string): number {
  const at = ORDER.indexOf(model);
  return at < 0 ? ORDER.length : at;
}

const Shap: FC<{ shap: readonly ShapRow[] }> = ({ shap }) => {
  if (shap.length === 0) return <p class="muted">No explanation is stored of this version.</p>;
  const byModel = shap.map((one) => ({ ...one, shares: shapSharesOf(one.top20) }));
  const features = new Map<string, number>();
  for (const { shares } of byModel)
    for (const { feature, share } of shares)
      features.set(feature, (features.get(feature) ?? 0) + share / byModel.length);
  const top = [...features].toSorted(([, a], [, b]) => b - a).slice(0, SHAP_SHOWN);
  return (
    <>
      <BarTable
        caption={`Share of the mean |SHAP|, mean of ${byModel.length} models`}
        heads={['Feature', 'Share']}
        rows={top.map(([feature, share]) => ({ name: feature, value: share, text: percent(share) }))}
      />
      {byModel.map(({ model, shares, additive, additivityMaxError }) => (
        <details>
          <summary>{sentence(words(model))}</summary>
          <BarTable
            caption={`${additive ? 'Adds up to the output' : `Does not add up: off by ${signed(additivityMaxError)}`}; the first ${SHAP_SHOWN}`}
            heads={['Feature', 'Share']}
            rows={shares
              .slice(0, SHAP_SHOWN)
              .map(({ feature, share }) => ({ name: feature, value: share, text: percent(share) }))}
          />
        </details>
      ))}
    </>
  );
};
