import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** What a token may do: look; run, pause and decide; also make and revoke tokens. Each includes the ones before. */
export const API_ROLES = ['viewer', 'operator', 'admin'] as const;
export type ApiRole = (typeof API_ROLES)[number];

/** `nst_<id>_<secret>`: the id finds the row, the secret proves it. */
const FORM = /^nst_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/;

export type NewApiToken = { tokenId: string; secretHash: string; text: string };

/** A token of 256 random bits; `text` is shown once and stored nowhere. */
export function newApiToken(): NewApiToken {
  const tokenId = randomBytes(8).toString('hex');
  const secret = randomBytes(32).toString('base64url');
  return { tokenId, secretHash: hashOf(secret), text: `nst_${tokenId}_${secret}` };
}

/** Id and hash of the secret of what somebody sent; null if it is no token. */
export function readApiToken(text: string): { tokenId: string; secretHash: string } | null {
  const [, tokenId, secret] = FORM.exec(text) ?? [];
  return tokenId === undefined || secret === undefined ? null : { tokenId, secretHash: hashOf(secret) };
}

/** A text without the secrets of tokens that stand in it, wherever somebody put them. */
export function withoutTokens(text: string): string {
  return text.replaceAll(/nst_([0-9a-f]{16})_[A-Za-z0-9_-]{43}/g, 'nst_$1_…');
}

/** Compares two hashes in constant time. */
export function sameHash(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a, 'hex'), Buffer.from(b, 'hex')];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** Whether a role may do what needs another one. */
export function roleIncludes(role: ApiRole, needed: ApiRole): boolean {
  return API_ROLES.indexOf(role) >= API_ROLES.indexOf(needed);
}

/** The secret has 256 bits: a slow hash would protect nothing and cost each request. */
function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
