// Writes the .env of docker-compose.yml with new secrets, once: node deploy/make-env.mjs [FILE]
// The roles' passwords follow from the owner's, as the control container derives them too.
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { LOGIN_ROLES, rolePassword } from '../scripts/lib/role-passwords.mjs';

const target = process.argv[2] ?? '.env';
const secret = () => randomBytes(32).toString('base64url');
const owner = secret();
const lines = [
  `NIGHTSHIFT_OWNER_PASSWORD=${owner}`,
  ...LOGIN_ROLES.map((role) => `NIGHTSHIFT_${role.toUpperCase()}_PASSWORD=${rolePassword(owner, role)}`),
  `TEMPORAL_DB_PASSWORD=${secret()}`,
];
try {
  writeFileSync(target, `${lines.join('\n')}\n`, { flag: 'wx', mode: 0o600 });
  console.log(`${target} holds new secrets, readable by you only`);
} catch (error) {
  if (error.code !== 'EEXIST') throw error;
  console.error(`${target} exists and is kept: the databases were made with its passwords`);
  process.exitCode = 1;
}
