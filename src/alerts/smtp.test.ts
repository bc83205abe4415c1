import { describe, expect, it } from 'vitest';
import { MAIL_CA_FILE, MailReceiver } from '../../tests/support/alert-receivers.ts';
import type { SmtpSettings } from '../contracts/schemas/alert-settings.ts';
import { testChannels } from './test-channels.ts';

describe('mail', () => {
  const variables: Record<string, string> = {};
  const block = (port: number, change: object = {}): SmtpSettings => ({
    name: 'mail',
    type: 'smtp',
    host: '127.0.0.1',
    port,
    from: 'night@desk.example',
    to: ['ann@desk.example', 'bob@desk.example'],
    security: 'starttls',
    caFile: MAIL_CA_FILE,
    userEnv: 'MAIL_USER',
    passwordEnv: 'MAIL_PASSWORD',
    ...change,
  });
  const send = async (channel: SmtpSettings) => {
    const house = { log: () => undefined, readVariable: (name: string) => variables[name] ?? null };
    const [result] = await testChannels({ channels: [channel] }, { by: 'Ann', house, limitMs: 3_000 });
    return result?.detail;
  };

  it('goes out over STARTTLS with a login, and not where the server is not the one', async () => {
    Object.assign(variables, { MAIL_USER: 'night', MAIL_PASSWORD: 'shift-secret' });
    const server = await MailReceiver.start();
    const plain = await MailReceiver.start({ disabledCommands: ['STARTTLS'], authOptional: true });
    const strict = await MailReceiver.start({ secure: true });
    try {
      expect(await send(block(server.port))).toBe('arrived');
      expect(server.mails).toMatchObject([
        {
          from: 'night@desk.example',
          to: ['ann@desk.example', 'bob@desk.example'],
          secure: true,
          user: 'night',
        },
      ]);
      const text = server.mails[0]?.text ?? '';
      expect(text).toMatch(/^Message-ID: <test-[0-9a-f-]+@nightshift>\r$/m);
      expect(text).toMatch(/^Subject: Nightshift \[TEST\] test: /m);
      expect(await send(block(server.port, { caFile: undefined }))).toMatch(
        /^the mail server did not take it: E/,
      );
      // No silent way back to plain text.
      expect(await send(block(plain.port))).toMatch(/^the mail server did not take it: E/);
      expect(plain.mails).toEqual([]);
      const open = { security: 'none', userEnv: undefined, passwordEnv: undefined, caFile: undefined };
      expect(await send(block(plain.port, open))).toBe('arrived');
      expect(await send(block(strict.port, { security: 'tls' }))).toBe('arrived');
      variables['MAIL_PASSWORD'] = 'wrong-secret';
      expect(await send(block(server.port))).toBe('the mail server did not take it: EAUTH, answer 535');
    } finally {
      await Promise.all([server, plain, strict].map((one) => one.stop()));
    }
  });
});
