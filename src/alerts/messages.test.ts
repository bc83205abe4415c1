import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { channelsFor, sendWithin } from './channel.ts';
import { retryPauseMs } from './deliver.ts';
import { type AlertMessage, messageOf, testMessage, titleOf } from './message.ts';
import { ChannelError } from './port.ts';
import { slackBody } from './slack.ts';
import { signatureOf } from './webhook.ts';

const alert = {
  alertId: 7,
  rule: 'night_failed',
  key: 'night_failed/sample/2026-03-02',
  severity: 'critical',
  summary: 'the night of 2026-03-02 (sample) failed: <!channel> & more\nlines',
  details: { runId: 'run-1', reason: null },
  openedAt: '2026-03-03T04:00:00.000Z',
  lastSeenAt: '2026-03-03T04:00:00.000Z',
  resolvedAt: null,
} as const;
const delivery = { channel: 'desk', kind: 'opened', alert } as const;

describe('messages', () => {
  it('have an id that is theirs at every attempt, and no other message has', () => {
    const { id } = messageOf(delivery);
    expect(messageOf({ ...delivery, alert: { ...alert, lastSeenAt: '2026-03-03T05:00:00.000Z' } }).id).toBe(
      id,
    );
    const others = [
      messageOf({ ...delivery, channel: 'pager' }),
      messageOf({ ...delivery, kind: 'resolved' }),
      messageOf({ ...delivery, alert: { ...alert, alertId: 8 } }),
      messageOf({ ...delivery, alert: { ...alert, openedAt: '2026-03-03T04:00:00.001Z' } }),
    ];
    expect(new Set([id, ...others.map((one) => one.id)]).size).toBe(5);
  });

  it('have a title of one line that says what they are', () => {
    const title = (message: AlertMessage) => titleOf(message);
    expect(title(messageOf(delivery))).toBe(
      '[CRITICAL] night_failed: the night of 2026-03-02 (sample) failed: <!channel> & more lines',
    );
    expect(title(messageOf({ ...delivery, kind: 'resolved' }))).toMatch(/^\[RESOLVED\] night_failed: /);
    expect(title(testMessage({ channel: 'desk', by: 'Ann', id: 'x', at: new Date(0) }))).toMatch(
      /^\[TEST\] /,
    );
  });

  it('can mention nobody in Slack', () => {
    const text = JSON.stringify(slackBody(messageOf(delivery)));
    expect(text).not.toContain('<!channel>');
    expect(text).toContain('&lt;!channel&gt; &amp; more');
  });

  it('are signed over instant and body', () => {
    const signed = signatureOf({ secret: 'k', body: '{"a":1}', atSeconds: 1_700_000_000 });
    const mac = createHmac('sha256', 'k').update('1700000000.{"a":1}').digest('hex');
    expect(signed).toBe(`t=1700000000,v1=${mac}`);
  });
});

describe('channels', () => {
  it.each([
    [{}, true],
    [{ rules: ['night_failed'] as const }, true],
    [{ rules: ['night_late'] as const }, false],
    [{ severities: ['critical', 'warning'] as const }, true],
    [{ severities: ['info'] as const }, false],
    [{ rules: ['night_failed'] as const, severities: ['warning'] as const }, false],
  ])('%j', (wish, wanted) => {
    const { rules, severities } = { rules: undefined, severities: undefined, ...wish };
    const block = {
      name: 'desk',
      type: 'log' as const,
      ...(rules && { rules: [...rules] }),
      ...(severities && { severities: [...severities] }),
    };
    expect(channelsFor([block], alert)).toEqual(wanted ? ['desk'] : []);
  });

  it('that never answer are given up in time, with words of ours', async () => {
    const hanging = { name: 'desk', send: () => new Promise<void>(() => undefined) };
    await expect(sendWithin(hanging, messageOf(delivery), { limitMs: 20 })).rejects.toThrow(
      new ChannelError('no answer within 0.02 s'),
    );
  });

  it.each([
    [new Error('https://hooks.example/SECRET refused'), 'the connection failed'],
    [
      Object.assign(new TypeError('fetch failed'), {
        cause: Object.assign(new Error('x'), { code: 'ECONNREFUSED' }),
      }),
      'the connection failed: ECONNREFUSED',
    ],
    [new ChannelError('the receiver answered 500'), 'the receiver answered 500'],
  ])('tell nothing of what a library says: %s', async (error, words) => {
    const broken = { name: 'desk', send: () => Promise.reject(error) };
    await expect(sendWithin(broken, messageOf(delivery))).rejects.toThrow(new ChannelError(words));
  });

  it('are tried again after 15 s, twice as long each time, half an hour at most', () => {
    expect([1, 2, 3, 8, 9, 100].map((attempt) => retryPauseMs(attempt) / 1000)).toEqual([
      15, 30, 60, 1800, 1800, 1800,
    ]);
  });
});
