import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Hono } from 'hono';
import { z } from 'zod';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import { Problem } from '../api/problems.ts';

const FOLDER = join(projectRoot, 'dist', 'assets');
const TYPES: Record<string, string> = {
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
};
/** A name holds the hash of the content: what it names never changes. */
const FOR_EVER = 'public, max-age=31536000, immutable';
const ASSETS = ['app.css', 'app.js', 'charts.js', 'icon.svg'] as const;
export type AssetName = (typeof ASSETS)[number];

const manifestSchema = z.record(z.enum(ASSETS), z.string().regex(/^[\w.-]+$/));
type Asset = { path: string; body: Uint8Array<ArrayBuffer>; type: string };

let loaded: Promise<Map<AssetName, Asset>> | undefined;

/** Scripts and styles as `scripts/build.mjs` left them, read once. Rejects where nothing was built. */
export function loadAssets(): Promise<Map<AssetName, Asset>> {
  loaded ??= readAssets().catch((error: unknown) => {
    loaded = undefined;
    throw new Error('dist/assets cannot be read; node scripts/build.mjs makes it', { cause: error });
  });
  return loaded;
}

async function readAssets(): Promise<Map<AssetName, Asset>> {
  const manifest = manifestSchema.parse(JSON.parse(await readFile(join(FOLDER, 'manifest.json'), 'utf8')));
  const entries = ASSETS.map(async (name): Promise<[AssetName, Asset]> => {
    const file = manifest[name];
    const body = Uint8Array.from(await readFile(join(FOLDER, file)));
    return [name, { path: `/assets/${file}`, body, type: TYPES[file.split('.').at(-1) ?? ''] ?? '' }];
  });
  return new Map(await Promise.all(entries));
}

/** Addresses of the assets of a page. */
export async function assetPaths(): Promise<Record<AssetName, string>> {
  const assets = await loadAssets();
  return Object.fromEntries([...assets].map(([name, { path }]) => [name, path])) as Record<AssetName, string>;
}

/** `/assets/*`, for everybody: the login page needs them too. */
export function assetRoutes(): Hono {
  return new Hono().get('/assets/:file', async (c) => {
    const wanted = `/assets/${c.req.param('file')}`;
    const asset = [...(await loadAssets()).values()].find(({ path }) => path === wanted);
    if (asset === undefined) throw new Problem('not-found', `there is no ${wanted}`);
    return c.body(asset.body, 200, { 'content-type': asset.type, 'cache-control': FOR_EVER });
  });
}
