import type { WorkflowHandle } from '@temporalio/client';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';

import type { NightInput } from '../../src/contracts/activities.ts';
import type { RunReport } from '../../src/contracts/schemas/report.ts';
import type { Task } from '../../src/contracts/wire/names.ts';
import { findNight, type NightRow } from '../../src/db/queries/nights.ts';
import { readNightReport } from '../../src/db/queries/report.ts';
import { type TaskRunRow, taskRunsOfNight } from '../../src/db/queries/task-runs.ts';
import { startNight } from '../../src/temporal/verbs.ts';
import { type TestBrowser, useBrowser } from '../support/browser.ts';
import { testTemporal } from '../support/env.ts';
import { type AllActivities, createFakes } from '../support/fakes.ts';
import { type House, openHouse, testConfig } from '../support/house.ts';
import { eventually, type Rig, type RigOptions, useRig } from '../support/rig.ts';

/** Long enough for a page of the Web UI on a machine that does much else. */
const SEEN_MS = 90_000;
/** A list that was asked for before the server had indexed the run stays as it is: then load it again. */
const RELOAD_MS = 20_000;
const FRAME_MS = 5_000;
/** Reading a page costs the browser a layout: not so often that it draws later for it. */
const LOOK_MS = 100;

/** A night in the three places where people look. */
export type Facts = { row: NightRow; runs: Map<Task, TaskRunRow>; report: RunReport };

/** Tabs of a workflow's page in the Web UI. */
export type Tab = 'timeline' | 'history' | 'user-metadata' | 'memo' | 'search-attributes' | 'relationships';

export type NightHandle = WorkflowHandle & { workflowId: string; runId: string };

/** Real workflows, server, database and browser; tasks do what the test says and nothing else. */
export class Scene {
  readonly rig: Rig;
  readonly house: House;
  readonly #page: () => Page;
  /** Events of each run when its page was last opened. */
  readonly #eventsShown = new Map<string, number>();

  constructor(parts: { rig: Rig; house: House; page: () => Page }) {
    this.rig = parts.rig;
    this.house = parts.house;
    this.#page = parts.page;
  }

  /** Starts a night of `tiny` as the product does. */
  async start(options: {
    sessionDate: string;
    config?: unknown;
    activities?: Partial<AllActivities>;
    trigger?: NightInput['trigger'];
  }): Promise<NightHandle> {
    await this.house.configure(options.config ?? testConfig());
    this.rig.use({ ...createFakes().activities, ...this.house.runs, ...options.activities });
    const run = await startNight(this.rig.client, {
      trigger: options.trigger ?? 'manual',
      universe: 'tiny',
      sessionDate: options.sessionDate,
    });
    return Object.assign(this.rig.client.workflow.getHandle(run.workflowId, run.runId), run);
  }

  /** Starts a night and waits for its end, whichever that is. */
  async night(options: Parameters<Scene['start']>[0]): Promise<NightHandle> {
    const handle = await this.start(options);
    await handle.result().catch(() => undefined);
    return handle;
  }

  async facts(night: { workflowId: string; runId: string }): Promise<Facts> {
    const row = await findNight(this.house.database.sql, night);
    const report = await readNightReport(this.house.api.sql, night);
    if (row === null || report === null) throw new Error(`no rows of ${night.workflowId}`);
    const runs = await taskRunsOfNight(this.house.database.sql, night);
    return { row, runs: new Map(runs.map((run) => [run.task, run])), report };
  }

  /** State, reason and attempts of a task, equal in Postgres and in the report. */
  static task(
    { runs, report }: Facts,
    task: Task,
  ): { state: string; reason: string | null; attempts: number } {
    const row = runs.get(task);
    const told = report.tasks.find((entry) => entry.task === task);
    if (row === undefined || told === undefined) throw new Error(`no task run of ${task}`);
    const { state, reason, attempts } = row;
    if (told.status !== state || told.attempts !== attempts || told.reason !== reason) {
      throw new Error(`the report says ${JSON.stringify(told)}, the row ${JSON.stringify(row)}`);
    }
    return { state, reason, attempts };
  }

  /** Opens a tab of a workflow's page; without a run the newest one. */
  async open(run: { workflowId: string; runId?: string }, tab: Tab): Promise<void> {
    const { runId, historyLength } = await this.rig.client.workflow
      .getHandle(run.workflowId, run.runId)
      .describe();
    const before = this.#eventsShown.get(runId) ?? historyLength;
    this.#eventsShown.set(runId, historyLength);
    const path = `workflows/${encodeURIComponent(run.workflowId)}/${runId}/${tab}`;
    await this.goto(path, { anew: before !== historyLength });
  }

  /** The list of workflows under a filter. */
  async list(query: string): Promise<void> {
    await this.goto(`workflows?query=${encodeURIComponent(query)}`);
  }

  /** Goes on within the page as a click on a link does; `anew` loads it as a person who gets the link. */
  async goto(path: string, { anew = false } = {}): Promise<void> {
    const page = this.#page();
    const url = new URL(`${testTemporal().ui}/namespaces/${this.rig.namespace}/${path}`);
    if (!anew && page.url().startsWith(url.origin)) {
      await page.evaluate(`{
        const link = document.createElement('a');
        link.href = ${JSON.stringify(url.href)};
        document.body.append(link);
        link.click();
        link.remove();
      }`);
      await page.waitForURL(({ pathname }) => pathname === url.pathname, { waitUntil: 'commit' });
      return;
    }
    await page.goto(url.href, { waitUntil: 'commit' });
  }

  /** Waits until the page shows each text: its own or that of a frame (Markdown is drawn in frames). */
  async sees(...texts: (string | RegExp)[]): Promise<void> {
    let shown = '';
    let loadedAtMs = Date.now();
    const missing = (): (string | RegExp)[] =>
      texts.filter((text) => (typeof text === 'string' ? !shown.includes(text) : !text.test(shown)));
    const look = async (): Promise<boolean> => {
      shown = await this.text();
      if (missing().length === 0) return true;
      if (Date.now() - loadedAtMs > RELOAD_MS) {
        await this.#page().reload({ waitUntil: 'commit' });
        loadedAtMs = Date.now();
      }
      return false;
    };
    await eventually('the page', look, SEEN_MS, LOOK_MS).catch(() => {
      throw new Error(`not on the page: ${missing().map(String).join(' | ')}\nit shows:\n${shown}`);
    });
  }

  /** What the page and its frames show, white space made single. */
  async text(): Promise<string> {
    const texts = await Promise.all(
      this.#page()
        .frames()
        // A frame that is just being drawn anew has no text yet.
        .map((frame) => frame.innerText('body', { timeout: FRAME_MS }).catch(() => '')),
    );
    return texts.join('\n').replaceAll(/\s+/g, ' ');
  }
}

/** A scene for all tests of a file; each test takes a session of its own. */
export function useScene(options: RigOptions = {}): {
  readonly current: Scene;
  readonly page: Page;
  screenshot: TestBrowser['screenshot'];
} {
  const rigs = useRig(options);
  const browser = useBrowser();
  let scene: Scene | undefined;
  beforeAll(async () => {
    const house = await openHouse({ client: rigs.current.client });
    scene = new Scene({ rig: rigs.current, house, page: () => browser.page });
  });
  afterAll(async () => scene?.house.close());
  return {
    get current() {
      if (scene === undefined) throw new Error('the scene is set before the first test');
      return scene;
    },
    get page() {
      return browser.page;
    },
    screenshot: browser.screenshot,
  };
}
