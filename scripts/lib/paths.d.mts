export const TEMPORAL_SERVER_VERSION: string;
export const TEMPORAL_CLI_VERSION: string;
export const projectRoot: string;
export const venvFolder: string;
export function venvPython(): string;
export function cacheFolder(): string;
export function cachedTemporal(): string;
export function usesExternalTemporal(): boolean;
