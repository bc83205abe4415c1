import { createHmac } from 'node:crypto';
import type { WebhookSettings } from '../contracts/schemas/alert-settings.ts';
import { linesOf, titleOf } from './message.ts';
import type { Channel } from './port.ts';
import { postJson, urlFrom } from './post.ts';

const SIGNATURE_HEADER = 'nightshift-signature';

/** `t=SECONDS,v1=HEX`: HMAC-SHA256 of `SECONDS.BODY` under the secret. */
export function signatureOf(input: { secret: string; body: string; atSeconds: number }): string {
  const { secret, body, atSeconds } = input;
  const mac = createHmac('sha256', secret).update(`${atSeconds}.${body}`).digest('hex');
  return `t=${atSeconds},v1=${mac}`;
}

/** JSON for programs, signed so that they know who sent it and when. */
export function createWebhookChannel(settings: WebhookSettings, secret: (name: string) => string): Channel {
  return {
    name: settings.name,
    send: async (message, signal) => {
      const url =
        settings.urlEnv === undefined
          ? (settings.url ?? '')
          : urlFrom(settings.urlEnv, secret(settings.urlEnv));
      const key = secret(settings.secretEnv);
      const { id, kind, alert } = message;
      const body = JSON.stringify({
        version: 1,
        id,
        kind,
        title: titleOf(message),
        text: linesOf(message).join('\n'),
        alert,
      });
      const atSeconds = Math.floor(Date.now() / 1000);
      await postJson({
        url,
        body,
        headers: {
          'idempotency-key': id,
          [SIGNATURE_HEADER]: signatureOf({ secret: key, body, atSeconds }),
        },
        signal,
      });
    },
  };
}
