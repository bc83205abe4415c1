import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';

export const CONNECT_LIMIT_MS: number;
export const PINNED_SHA256: Record<string, string>;
export function downloadTemporal(options: {
  target: string;
  signal: AbortSignal;
  base?: string;
  request?: (url: string, options: RequestOptions, listener: (response: IncomingMessage) => void) => ClientRequest;
  pins?: Record<string, string>;
  connectLimitMs?: number;
}): Promise<void>;
export function fileFromTar(archive: Buffer, name: string): Buffer;
