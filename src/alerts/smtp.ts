import { readFile } from 'node:fs/promises';
import { createTransport } from 'nodemailer';
import type { SmtpSettings } from '../contracts/schemas/alert-settings.ts';
import { type AlertMessage, linesOf, titleOf } from './message.ts';
import { type Channel, ChannelError } from './port.ts';

/** Of each step of the conversation; the whole has the limit of every channel. */
const STEP_MS = 6_000;
const SUBJECT_LENGTH = 200;

/** Mail, one connection a message: alerts are rare, and a kept connection may be dead when one comes. */
export function createSmtpChannel(settings: SmtpSettings, secret: (name: string) => string): Channel {
  const { host, port, from, to, security, caFile, userEnv, passwordEnv } = settings;
  return {
    name: settings.name,
    send: async (message, signal) => {
      const auth =
        userEnv === undefined || passwordEnv === undefined
          ? {}
          : { auth: { user: secret(userEnv), pass: secret(passwordEnv) } };
      const transport = createTransport({
        host,
        port,
        secure: security === 'tls',
        requireTLS: security === 'starttls',
        ignoreTLS: security === 'none',
        ...auth,
        ...(caFile === undefined ? {} : { tls: { ca: await readCa(caFile) } }),
        connectionTimeout: STEP_MS,
        greetingTimeout: STEP_MS,
        socketTimeout: STEP_MS,
        dnsTimeout: STEP_MS,
        // Attachments and HTML by path or URL: nothing of a message may make it read a file.
        disableFileAccess: true,
        disableUrlAccess: true,
      });
      const close = (): void => transport.close();
      signal.addEventListener('abort', close, { once: true });
      try {
        const { rejected } = await transport.sendMail(mailOf(message, { from, to }));
        if (rejected.length > 0)
          throw new ChannelError(`the mail server refused ${rejected.length} of ${to.length} recipients`);
      } catch (error) {
        throw error instanceof ChannelError ? error : new ChannelError(smtpWords(error));
      } finally {
        signal.removeEventListener('abort', close);
        close();
      }
    },
  };
}

function mailOf(message: AlertMessage, { from, to }: { from: string; to: string[] }) {
  return {
    from,
    to,
    subject: `Nightshift ${titleOf(message)}`.slice(0, SUBJECT_LENGTH),
    text: `${[titleOf(message), '', ...linesOf(message)].join('\n')}\n`,
    // The same at every attempt: mail programs show it once.
    messageId: `<${message.id}@nightshift>`,
    headers: { 'auto-submitted': 'auto-generated' },
  };
}

async function readCa(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    throw new ChannelError('the file with the certificate authority (caFile) cannot be read');
  }
}

/** Kind and number of what the mail server said; its words may repeat the login. */
function smtpWords(error: unknown): string {
  if (!(error instanceof Error)) return 'the mail server could not be reached';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'no code';
  const response =
    'responseCode' in error && typeof error.responseCode === 'number' ? `, answer ${error.responseCode}` : '';
  return `the mail server did not take it: ${code}${response}`;
}
