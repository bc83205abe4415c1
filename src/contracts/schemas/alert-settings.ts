import { z } from 'zod';

import { ALERT_RULES, ALERT_SEVERITIES } from '../wire/alerts.ts';

const count = z.number().int().positive();

/** The name of a variable, never what is in it: a secret written here by mistake must not be repeated. */
const variableName = z
  .string()
  .regex(/^[A-Z][A-Z0-9_]{0,127}$/, 'must be the NAME of an environment variable, such as NIGHTSHIFT_HOOK');

const common = {
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be 1 to 32 small letters, digits and "-", a letter first'),
  /** Which alerts it gets; absent: all. */
  rules: z.array(z.enum(ALERT_RULES)).min(1).optional(),
  severities: z.array(z.enum(ALERT_SEVERITIES)).min(1).optional(),
};

const address = z.email({ error: 'must be an address like desk@example.com' });

const webhook = z
  .strictObject({
    ...common,
    type: z.literal('webhook'),
    /** An address without anything secret in it; else name a variable with `urlEnv`. */
    url: z
      .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
      .refine((url) => !/^[a-z]+:\/\/[^/?#]*@/i.test(url), 'must not hold a password: use urlEnv')
      .optional(),
    urlEnv: variableName.optional(),
    /** Variable with the key of the signature. */
    secretEnv: variableName,
  })
  .refine(({ url, urlEnv }) => (url === undefined) !== (urlEnv === undefined), {
    message: 'needs either url or urlEnv',
  });

const slack = z.strictObject({
  ...common,
  type: z.literal('slack'),
  /** Variable with the address of the incoming webhook, which is a secret itself. */
  urlEnv: variableName,
});

const smtp = z
  .strictObject({
    ...common,
    type: z.literal('smtp'),
    host: z.string().min(1).max(253),
    port: count.max(65_535),
    from: address,
    to: z.array(address).min(1).max(50),
    /** `starttls`: refuses to go on without; `tls`: from the first byte; `none`: in the clear, for a relay on this machine. */
    security: z.enum(['starttls', 'tls', 'none']).default('starttls'),
    /** File (PEM) of an authority of one's own. */
    caFile: z.string().min(1).optional(),
    userEnv: variableName.optional(),
    passwordEnv: variableName.optional(),
  })
  .refine(({ userEnv, passwordEnv }) => (userEnv === undefined) === (passwordEnv === undefined), {
    message: 'needs userEnv and passwordEnv together, or neither',
  })
  .refine(({ security, passwordEnv }) => security !== 'none' || passwordEnv === undefined, {
    message: 'a login needs starttls or tls: with none its password is sent in the clear',
  });

const log = z.strictObject({ ...common, type: z.literal('log') });

const channelSchema = z.discriminatedUnion('type', [webhook, slack, smtp, log], {
  error: (issue) =>
    issue.code === 'invalid_union' ? 'type must be one of webhook, slack, smtp, log' : undefined,
});
export type ChannelSettings = z.infer<typeof channelSchema>;
export type WebhookSettings = Extract<ChannelSettings, { type: 'webhook' }>;
export type SlackSettings = Extract<ChannelSettings, { type: 'slack' }>;
export type SmtpSettings = Extract<ChannelSettings, { type: 'smtp' }>;

/** The block `nightshift.alerts`: of the instance, not of a universe or a run. */
export const alertSettingsSchema = z.strictObject({
  channels: z
    .array(channelSchema)
    .refine((channels) => new Set(channels.map(({ name }) => name)).size === channels.length, {
      message: 'each name once',
    }),
  /** After its nominal start. */
  nightLateMinutes: count,
  nightMissedMinutes: count,
  /** Before its deadline. */
  reviewExpiringMinutes: count,
  coverageRatio: z.number().min(0).max(1),
  schedulePausedHours: z.number().positive(),
  queueSilentSeconds: count,
  /** How long a message that does not go out is tried again. */
  giveUpAfterHours: z.number().positive().max(168),
});
export type AlertSettings = z.infer<typeof alertSettingsSchema>;
