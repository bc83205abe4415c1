// The official release of the Temporal CLI. Its checksum file lies beside it in the same release: the check
// finds a broken or mixed-up transfer; who made it is vouched for by TLS and GitHub, as for any download there.
import { createHash } from 'node:crypto';
import { chmodSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { gunzipSync } from 'node:zlib';
import { TEMPORAL_CLI_VERSION } from './paths.mjs';

const CONNECT_LIMIT_MS = 5000;
const STALL_LIMIT_MS = 30_000;
const defaultBase = `https://github.com/temporalio/cli/releases/download/v${TEMPORAL_CLI_VERSION}`;

/** Fetches, checks and unpacks the binary of this platform to `target`. */
export async function downloadTemporal({ target, signal, base = defaultBase, request = get }) {
  const arch = { x64: 'amd64', arm64: 'arm64' }[process.arch];
  const os = { linux: 'linux', darwin: 'darwin', win32: 'windows' }[process.platform];
  if (arch === undefined || os === undefined)
    throw new Error(`no release for ${process.platform} ${process.arch}`);
  const asset = `temporal_cli_${TEMPORAL_CLI_VERSION}_${os}_${arch}.tar.gz`;
  const checksums = (await fetchBytes({ url: `${base}/checksums.txt`, signal, request })).toString('utf8');
  const wanted = checksums
    .split('\n')
    .map((line) => line.trim().split(/\s+\*?/))
    .find(([, name]) => name === asset)?.[0];
  if (wanted === undefined) throw new Error(`the release's checksum file does not name ${asset}`);
  const archive = await fetchBytes({ url: `${base}/${asset}`, signal, request });
  const got = createHash('sha256').update(archive).digest('hex');
  if (got !== wanted) throw new Error(`${asset} has sha256 ${got}, its release says ${wanted}`);
  const binary = fileFromTar(gunzipSync(archive), os === 'windows' ? 'temporal.exe' : 'temporal');
  writeFileSync(target, binary);
  chmodSync(target, 0o755);
}

/** GET with redirects; 5 s until the connection stands, then at most 30 s without a byte. */
function fetchBytes({ url, signal, request, redirects = 5 }) {
  return new Promise((resolve, reject) => {
    const call = request(url, { signal }, (response) => {
      const { statusCode = 0, headers } = response;
      if (statusCode >= 300 && statusCode < 400 && headers.location && redirects > 0) {
        response.resume();
        const next = new URL(headers.location, url).href;
        fetchBytes({ url: next, signal, request, redirects: redirects - 1 }).then(resolve, reject);
        return;
      }
      if (statusCode !== 200) {
        response.resume();
        reject(new Error(`${url} answered ${statusCode}`));
        return;
      }
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.once('end', () => resolve(Buffer.concat(chunks)));
      response.once('error', reject);
    });
    const limit = setTimeout(
      () => call.destroy(new Error(`no connection to ${new URL(url).host} within 5 s`)),
      CONNECT_LIMIT_MS,
    );
    const connected = () => clearTimeout(limit);
    call.once('socket', (socket) => {
      socket.once('secureConnect', connected);
      socket.once('connect', () => new URL(url).protocol === 'http:' && connected());
    });
    call.once('response', connected);
    call.setTimeout(STALL_LIMIT_MS, () =>
      call.destroy(new Error(`${new URL(url).host} sent nothing for 30 s`)),
    );
    call.once('error', (error) => {
      clearTimeout(limit);
      reject(error);
    });
  });
}

/** One regular file of an (uncompressed) tar archive, by its base name. */
export function fileFromTar(archive, name) {
  let offset = 0;
  while (offset + 512 <= archive.length) {
    const header = archive.subarray(offset, offset + 512);
    const path = header.subarray(0, 100).toString('utf8').replace(/\0.*$/s, '');
    if (path === '') break;
    const size = Number.parseInt(header.subarray(124, 136).toString('ascii').replace(/\0.*$/s, '').trim(), 8);
    if (path.split('/').pop() === name) return archive.subarray(offset + 512, offset + 512 + size);
    offset += 512 + Math.ceil(size / 512) * 512;
  }
  throw new Error(`the archive holds no ${name}`);
}
