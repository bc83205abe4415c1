import { describe, expect, it } from 'vitest';
import { alertSettings, ConfigError, configHash, effectiveConfig, parseConfigFile } from './config.ts';

const document = (nightshift: object): unknown => ({ scheduled_tasks: [{ task_id: 1 }], nightshift });
const hook = { name: 'desk', type: 'webhook', url: 'https://desk.example/in', secretEnv: 'DESK_KEY' };

/** The problems of an `alerts` block, or none. */
function problemsOf(alerts: unknown): string[] {
  try {
    effectiveConfig(parseConfigFile(document({ alerts })));
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

describe('the block nightshift.alerts', () => {
  it('has only the log without a word of the file, and what it says beside the defaults', () => {
    expect(alertSettings(parseConfigFile(document({})))).toMatchObject({
      channels: [{ name: 'log', type: 'log' }],
      nightLateMinutes: 360,
      coverageRatio: 0.95,
    });
    const settings = alertSettings(
      parseConfigFile(document({ alerts: { coverageRatio: 0.5, channels: [hook] } })),
    );
    expect(settings).toMatchObject({ coverageRatio: 0.5, nightLateMinutes: 360, channels: [hook] });
  });

  it('is no part of what a run is made of', () => {
    const hash = (nightshift: object) => configHash(effectiveConfig(parseConfigFile(document(nightshift))));
    expect(hash({ alerts: { channels: [hook] } })).toBe(hash({}));
  });

  it.each([
    [{ chanels: [] }, ['nightshift.alerts.chanels: unknown key; did you mean "channels"?']],
    [{ channels: [{ ...hook, colour: 'red' }] }, ['nightshift.alerts.channels[0].colour: unknown key']],
    [
      { channels: [{ name: 'x', type: 'pager' }] },
      ['nightshift.alerts.channels[0].type: type must be one of webhook, slack, smtp, log'],
    ],
    [
      { channels: [{ ...hook, urlEnv: 'DESK_URL' }] },
      ['nightshift.alerts.channels[0]: needs either url or urlEnv'],
    ],
    [
      { channels: [{ ...hook, url: 'https://ann:secret@desk.example/' }] },
      ['nightshift.alerts.channels[0].url: must not hold a password: use urlEnv'],
    ],
    [{ channels: [hook, hook] }, ['nightshift.alerts.channels: each name once']],
    [
      { channels: [{ name: 'm', type: 'smtp', host: 'h', port: 25, from: 'a@b.example', to: ['nobody'] }] },
      ['nightshift.alerts.channels[0].to[0]: must be an address like desk@example.com'],
    ],
    [
      {
        channels: [
          { name: 'm', type: 'smtp', host: 'h', port: 25, from: 'a@b.co', to: ['c@d.co'], userEnv: 'U' },
        ],
      },
      ['nightshift.alerts.channels[0]: needs userEnv and passwordEnv together, or neither'],
    ],
    [
      {
        channels: [
          {
            name: 'm',
            type: 'smtp',
            host: 'h',
            port: 25,
            from: 'a@b.co',
            to: ['c@d.co'],
            security: 'none',
            userEnv: 'U',
            passwordEnv: 'P',
          },
        ],
      },
      [
        'nightshift.alerts.channels[0]: a login needs starttls or tls: with none its password is sent in the clear',
      ],
    ],
    [{ coverageRatio: 95 }, [expect.stringMatching(/^nightshift\.alerts\.coverageRatio: /)]],
  ])('%j is refused by its path', (alerts, expected) => {
    expect(problemsOf(alerts)).toEqual(expected);
  });

  it('never repeats a secret that stands where a name belongs', () => {
    const [problem] = problemsOf({ channels: [{ ...hook, secretEnv: 'hunter2-is-secret' }] });
    expect(problem).toMatch(/^nightshift\.alerts\.channels\[0\]\.secretEnv: must be the NAME/);
    expect(problem).not.toContain('hunter2');
  });

  it('belongs to the instance: a universe has none of its own', () => {
    expect(() => parseConfigFile(document({ universes: { tiny: { alerts: {} } } }))).toThrow(
      'nightshift.universes.tiny.alerts: unknown key',
    );
  });
});
