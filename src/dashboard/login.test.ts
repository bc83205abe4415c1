import { expect, it } from 'vitest';
import { ownPath } from './login.ts';

it('leads to paths of ours only', () => {
  for (const path of ['/', '/drift?session=2018-02-06&universe=tiny', '/runs/a%2Fb'])
    expect(ownPath(path)).toBe(path);
  const others = [
    '//evil.example',
    '/\\evil.example',
    'https://evil.example',
    'javascript:alert(1)',
    '',
    undefined,
  ];
  for (const path of [...others, '/a b', '/a\r\nSet-Cookie: x', `/${'a'.repeat(501)}`])
    expect(ownPath(path)).toBe('/');
});
