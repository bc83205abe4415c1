// Which C library this Linux has: the Temporal SDK and Postgres come built for glibc only.
import { SetupError } from './steps.mjs';

/**
 * Throws a SetupError that says what to do when this is a Linux with musl.
 * @param {{ platform: string, header: { glibcVersionRuntime?: string } | null, loader: string }} system
 *   `header` of Node's own report (null: not to be had); `loader`: what `ldd --version` prints.
 */
export function requireGlibc({ platform, header, loader }) {
  if (platform !== 'linux' || !usesMusl(header, loader)) return;
  throw new SetupError(
    'this Linux uses musl (Alpine?), for which the Temporal SDK and Postgres have no builds',
    ['Use a system with glibc, for example Debian or node:22-bookworm-slim.'],
  );
}

/** Node names the glibc it runs on; where its report cannot be had, the loader names itself. */
function usesMusl(header, loader) {
  if (header !== null) return header.glibcVersionRuntime === undefined;
  return /\bmusl\b/i.test(loader);
}
