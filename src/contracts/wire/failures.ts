/** Failure types on the wire, classified once: `retry` by Temporal, `never`, or `person` (needs a human). */
export const FAILURE_TYPES = {
  InvalidInput: 'never',
  InvalidConfiguration: 'never',
  DeviceUnavailable: 'never',
  DataDefect: 'person',
  CoverageTooLow: 'person',
  NumericFailure: 'person',
  FitFailed: 'retry',
  ArtifactMissing: 'retry',
  ProviderNotFound: 'never',
  ProviderRateLimited: 'retry',
  ProviderTransient: 'retry',
  ProviderBadData: 'person',
  DatabaseUnavailable: 'retry',
  DatabaseRejected: 'person',
  WorkerShutdown: 'retry',
  SupersededAttempt: 'never',
  NightAlreadyRunning: 'never',
  AlreadyDecided: 'never',
} as const satisfies Record<string, 'retry' | 'never' | 'person'>;
export type FailureType = keyof typeof FAILURE_TYPES;

/** Types that no attempt may repeat: the same input would fail the same way. */
export const NON_RETRYABLE_TYPES: FailureType[] = (Object.keys(FAILURE_TYPES) as FailureType[]).filter(
  (type) => FAILURE_TYPES[type] !== 'retry',
);
