// Passwords of our Postgres roles, made from the owner's: whoever has the owner's login finds the same ones,
// and nothing but that login has to be handed around.
import { createHmac } from 'node:crypto';

export const LOGIN_ROLES = ['ingest', 'pipeline', 'ml', 'maintenance', 'api'];

/** The password of one role (base64url, 43 characters). */
export function rolePassword(ownerPassword, role) {
  return createHmac('sha256', ownerPassword).update(`nightshift role ${role}`).digest('base64url');
}
