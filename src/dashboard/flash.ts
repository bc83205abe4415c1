import type { Context } from 'hono';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import { z } from 'zod';
import { cookieName, cookieOptions } from '../api/sessions.ts';

/** What the act before this page did, told once. */
export type Flash = { kind: 'done' | 'refused'; text: string };

const MAX_TEXT = 600;
const SECONDS = 60;
const flashSchema = z.object({ kind: z.enum(['done', 'refused']), text: z.string().min(1).max(MAX_TEXT) });

/** Leaves words for the next page. */
export function leaveFlash(c: Context, flash: Flash): void {
  const text = flash.text.slice(0, MAX_TEXT);
  const value = Buffer.from(JSON.stringify({ ...flash, text })).toString('base64url');
  setCookie(c, cookieName(c, 'told'), value, { ...cookieOptions(c), maxAge: SECONDS });
}

/** Takes the words that were left; null if there are none. */
export function takeFlash(c: Context): Flash | null {
  const name = cookieName(c, 'told');
  const value = getCookie(c, name);
  if (value === undefined) return null;
  deleteCookie(c, name, { path: '/' });
  try {
    return flashSchema.parse(JSON.parse(Buffer.from(value, 'base64url').toString('utf8')));
  } catch {
    return null;
  }
}
