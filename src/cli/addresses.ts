import type { Runtime } from '../runtime/embedded.ts';

/** Where everything of an instance is, one line each. */
export function addressLines(
  runtime: Pick<
    Runtime,
    'api' | 'temporalUi' | 'temporal' | 'namespace' | 'postgres' | 'artifactUrl' | 'logDir'
  >,
): string[] {
  return [
    ...(runtime.api === null ? [] : [`API              ${runtime.api}`]),
    `Temporal Web UI  ${runtime.temporalUi ?? '(external cluster)'}`,
    `Temporal         ${runtime.temporal} (namespace ${runtime.namespace})`,
    `Postgres         ${runtime.postgres}`,
    `Artifacts        ${runtime.artifactUrl}`,
    `Logs             ${runtime.logDir}`,
  ];
}
