// The official release of the Temporal CLI, checked against the sha256 pinned here. Where none is pinned, the release's
// own checksum file has to do: that finds a broken or mixed-up transfer, not a release that was exchanged.
import { createHash } from 'node:crypto';
import { chmodSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { gunzipSync } from 'node:zlib';
import { TEMPORAL_CLI_VERSION } from './paths.mjs';

export const CONNECT_LIMIT_MS = 5000;
const STALL_LIMIT_MS = 30_000;
const defaultBase = `https://github.com/temporalio/cli/releases/download/v${TEMPORAL_CLI_VERSION}`;

/** sha256 of the archives of TEMPORAL_CLI_VERSION: both are raised together. */
export const PINNED_SHA256 = {
  'temporal_cli_1.8.2_linux_amd64.tar.gz': 'd8421bda989e6514b4bdb4d63a9012a8a05a806892e881a5aad8510496349a94',
  'temporal_cli_1.8.2_linux_arm64.tar.gz': '83600a8fac6e3da54093e5da6918d399f501532b9f1172235603f9606f4ac6e4',
  'temporal_cli_1.8.2_darwin_amd64.tar.gz':
    '489d7f5420cae02b559774ac23df035141954c33a51dba96f5759a0ddccdf1b6',
  'temporal_cli_1.8.2_darwin_arm64.tar.gz':
    'dacdc3587682c04cf27e67c8878ca2d755230b6ad63c0c6ebddd7348ae90ed94',
};

/** Fetches, checks and unpacks the binary of this platform to `target`. */
export async function downloadTemporal({
  target,
  signal,
  base = defaultBase,
  request = get,
  pins = PINNED_SHA256,
  connectLimitMs = CONNECT_LIMIT_MS,
}) {
  const arch = { x64: 'amd64', arm64: 'arm64' }[process.arch];
  const os = { linux: 'linux', darwin: 'darwin', win32: 'windows' }[process.platform];
  if (arch === undefined || os === undefined)
    throw new Error(`no release for ${process.platform} ${process.arch}`);
  const asset = `temporal_cli_${TEMPORAL_CLI_VERSION}_${os}_${arch}.tar.gz`;
  const fetchPart = (name) => fetchBytes({ url: `${base}/${name}`, signal, request, connectLimitMs });
  const pinned = pins[asset];
  const wanted = pinned ?? checksumOf(asset, (await fetchPart('checksums.txt')).toString('utf8'));
  const archive = await fetchPart(asset);
  const got = createHash('sha256').update(archive).digest('hex');
  if (got !== wanted) {
    const who = pinned === undefined ? 'its release says' : 'this version of Nightshift is pinned to';
    throw new Error(`${asset} has sha256 ${got}, ${who} ${wanted}`);
  }
  const binary = fileFromTar(gunzipSync(archive), os === 'windows' ? 'temporal.exe' : 'temporal');
  writeFileSync(target, binary);
  chmodSync(target, 0o755);
}

function checksumOf(asset, checksums) {
  const wanted = checksums
    .split('\n')
    .map((line) => line.trim().split(/\s+\*?/))
    .find(([, name]) => name === asset)?.[0];
  if (wanted === undefined) throw new Error(`the release's checksum file does not name ${asset}`);
  return wanted;
}

/** GET with redirects; a limit until the connection stands, then at most 30 s without a byte. */
function fetchBytes({ url, signal, request, connectLimitMs, redirects = 5 }) {
  return new Promise((resolve, reject) => {
    const call = request(url, { signal }, (response) => {
      const { statusCode = 0, headers } = response;
      if (statusCode >= 300 && statusCode < 400 && headers.location && redirects > 0) {
        response.resume();
        const next = new URL(headers.location, url).href;
        const rest = { signal, request, connectLimitMs, redirects: redirects - 1 };
        fetchBytes({ url: next, ...rest }).then(resolve, reject);
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
      () =>
        call.destroy(new Error(`no connection to ${new URL(url).host} within ${connectLimitMs / 1000} s`)),
      connectLimitMs,
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
