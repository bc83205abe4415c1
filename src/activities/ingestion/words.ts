import { type ProviderError, toProviderError } from '../../providers/errors.ts';

/** `notFound: archive has no XYZ as of 2018-02-07`. */
export function errorWords(error: ProviderError): string {
  const { code, message } = toProviderError(error, error.provider);
  return `${code}: ${message}`;
}
