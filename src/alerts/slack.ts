import type { SlackSettings } from '../contracts/schemas/alert-settings.ts';
import { type AlertMessage, linesOf, titleOf } from './message.ts';
import type { Channel } from './port.ts';
import { postJson, urlFrom } from './post.ts';

/** Slack's limits for the texts of a header and of a section. */
const HEADER_LENGTH = 150;
const SECTION_LENGTH = 3000;

/** An incoming webhook of Slack, or of what takes the same JSON (Mattermost, Discord with `/slack`). */
export function createSlackChannel(settings: SlackSettings, secret: (name: string) => string): Channel {
  return {
    name: settings.name,
    send: async (message, signal) => {
      const url = urlFrom(settings.urlEnv, secret(settings.urlEnv));
      const body = JSON.stringify(slackBody(message));
      await postJson({ url, body, headers: { 'idempotency-key': message.id }, signal });
    },
  };
}

/** `text` is what notifications show; the blocks are the message. */
export function slackBody(message: AlertMessage): object {
  const title = titleOf(message);
  const { alert } = message;
  const head = title.slice(0, title.indexOf(':'));
  const lines = linesOf(message).map((line) => escaped(line));
  return {
    text: escaped(title),
    blocks: [
      { type: 'header', text: { type: 'plain_text', text: head.slice(0, HEADER_LENGTH) } },
      section(escaped(alert.summary)),
      section(lines.join('\n')),
      { type: 'context', elements: [{ type: 'mrkdwn', text: `id ${message.id}` }] },
    ],
  };
}

function section(text: string): object {
  return { type: 'section', text: { type: 'mrkdwn', text: text.slice(0, SECTION_LENGTH) } };
}

/** Slack reads links and mentions out of `<…>`: whatever a failure said is only text. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
