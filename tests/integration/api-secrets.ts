import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../../scripts/lib/paths.mjs';
import type { Runtime } from '../../src/runtime/embedded.ts';
import { HookReceiver, MAIL_CA_FILE, MailReceiver } from '../support/alert-receivers.ts';
import { testConfig } from '../support/house.ts';
import { type InstanceProcess, startNode } from '../support/instance.ts';

const SAMPLE = join(projectRoot, 'data', 'sample');
const newSecret = (): string => randomBytes(18).toString('base64url');

/** Channels that all fail, each with a secret in its address, its signature or its login, and what names them. */
export type FailingChannels = {
  /** Of the process that sends. */
  env: Record<string, string>;
  secrets: Record<string, string>;
  configPath: string;
  close: () => Promise<void>;
};

/** A hook that is refused, a Slack that nobody answers, and mail whose server says the wrong password aloud. */
export async function openFailingChannels(folder: string): Promise<FailingChannels> {
  const [hook, mail] = await Promise.all([HookReceiver.start(), MailReceiver.start()]);
  hook.answer = () => 500;
  const secrets = {
    'address of the hook': newSecret(),
    'key of the hook': newSecret(),
    'address of Slack': newSecret(),
    'user of the mail': newSecret(),
    'password of the mail': newSecret(),
    'key of the bucket': newSecret(),
  };
  const channels = [
    { name: 'hook', type: 'webhook', urlEnv: 'SECRET_HOOK_URL', secretEnv: 'SECRET_HOOK_KEY' },
    { name: 'slack', type: 'slack', urlEnv: 'SECRET_SLACK_URL' },
    {
      name: 'mail',
      type: 'smtp',
      host: '127.0.0.1',
      port: mail.port,
      from: 'night@desk.example',
      to: ['ann@desk.example'],
      caFile: MAIL_CA_FILE,
      userEnv: 'SECRET_MAIL_USER',
      passwordEnv: 'SECRET_MAIL_PASSWORD',
    },
    { name: 'log', type: 'log' },
  ];
  const configPath = join(folder, 'failing-channels.json');
  const tasks = { 1: { max_retries: 1, retry_on_failure: true } };
  // The first look finds nobody on the queue of the models, the second one tells it.
  const alerts = { channels, queueSilentSeconds: 1 };
  await writeFile(configPath, JSON.stringify(testConfig({ tasks, nightshift: { alerts } })));
  return {
    env: {
      SECRET_HOOK_URL: `${hook.url}/${secrets['address of the hook']}`,
      SECRET_HOOK_KEY: secrets['key of the hook'],
      SECRET_SLACK_URL: `http://127.0.0.1:9/${secrets['address of Slack']}`,
      SECRET_MAIL_USER: secrets['user of the mail'],
      SECRET_MAIL_PASSWORD: secrets['password of the mail'],
      AWS_SECRET_ACCESS_KEY: secrets['key of the bucket'],
    },
    secrets,
    configPath,
    close: async () => {
      await Promise.all([hook.stop(), mail.stop()]);
    },
  };
}

/** A worker and an API on their own, each with a password that is wrong; the worker's market data cannot be read. */
export async function startWithWrongPasswords(
  runtime: Runtime,
  { apiPort, env }: { apiPort: number; env: Record<string, string> },
): Promise<{ processes: InstanceProcess[]; secrets: Record<string, string>; stop: () => Promise<void> }> {
  const secrets = { 'wrong password of maintenance': newSecret(), 'wrong password of the API': newSecret() };
  const withPassword = (url: string, password: string): string => {
    const changed = new URL(url);
    changed.password = password;
    return changed.href;
  };
  const folder = await mkdtemp(join(tmpdir(), 'nightshift-unreadable-'));
  for (const name of await readdir(SAMPLE))
    if (name !== 'bars.parquet') await symlink(join(SAMPLE, name), join(folder, name));
  await writeFile(join(folder, 'bars.parquet'), 'no Parquet');
  const { urls, namespace, temporal, artifactUrl, logDir } = runtime;
  await mkdir(join(folder, 'data'));
  const common = { ...env, TEMPORAL_ADDRESS: temporal, TEMPORAL_NAMESPACE: namespace, DATABASE_URL: '' };
  const wrongApi = withPassword(urls.api, secrets['wrong password of the API']);
  const worker = startNode({
    args: [join(projectRoot, 'dist', 'worker', 'main.js')],
    env: {
      ...common,
      NIGHTSHIFT_DB_URL_INGEST: urls.ingest,
      NIGHTSHIFT_DB_URL_PIPELINE: urls.pipeline,
      NIGHTSHIFT_DB_URL_MAINTENANCE: withPassword(urls.maintenance, secrets['wrong password of maintenance']),
      NIGHTSHIFT_DB_URL_API: urls.api,
      NIGHTSHIFT_DATA_DIR: join(folder, 'data'),
      NIGHTSHIFT_SAMPLE_DATA_DIR: folder,
      NIGHTSHIFT_LOG_DIR: logDir,
      NIGHTSHIFT_WORKER_NAME: 'on-its-own',
      ARTIFACT_URL: artifactUrl,
    },
  });
  const api = startNode({
    args: [join(projectRoot, 'dist', 'api', 'main.js')],
    env: {
      ...common,
      NIGHTSHIFT_DB_URL_API: wrongApi,
      NIGHTSHIFT_DB_URL_PIPELINE: wrongApi,
      NIGHTSHIFT_API_PORT: String(apiPort),
    },
  });
  return {
    processes: [worker, api],
    secrets,
    stop: async () => {
      for (const one of [worker, api]) {
        one.process.kill('SIGTERM');
        await one.exited;
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Answers to every route of an API, asked wrongly: with values that none takes, and for what does not exist. */
export async function answersToNonsense(api: string, token: string): Promise<string> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const document = (await (await fetch(`${api}/openapi.json`, { headers })).json()) as {
    paths?: Record<string, Record<string, unknown>>;
  };
  const asked = Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
    Object.keys(item).map((method) => ({ method: method.toUpperCase(), path })),
  );
  const answers: string[] = [];
  for (const { method, path } of asked) {
    const url = `${api}${path.replaceAll(/\{\w+\}/g, 'none')}?session=soon&sessionDate=soon&pageToken=x&limit=x`;
    const body = method === 'GET' ? {} : { body: '{"why":5,"channel":5}' };
    const response = await fetch(url, { method, headers, ...body });
    answers.push(`${method} ${path} ${response.status} ${await response.text()}`);
  }
  return answers.join('\n');
}

/** The passwords of a data folder. */
export async function passwordsOf(secretsPath: string): Promise<Record<string, string>> {
  const passwords = JSON.parse(await readFile(secretsPath, 'utf8')) as Record<string, string>;
  return Object.fromEntries(
    Object.entries(passwords).map(([role, password]) => [`password of ${role}`, password]),
  );
}
