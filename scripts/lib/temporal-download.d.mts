import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';

export function downloadTemporal(options: {
  target: string;
  signal: AbortSignal;
  base?: string;
  request?: (url: string, options: RequestOptions, listener: (response: IncomingMessage) => void) => ClientRequest;
}): Promise<void>;
export function fileFromTar(archive: Buffer, name: string): Buffer;
