import { WorkflowFailedError } from '@temporalio/client';
import { afterEach, beforeEach } from 'vitest';

import type { SlotActivities } from '../../src/contracts/slots.ts';
import { manualRunWorkflowId } from '../../src/contracts/wire/names.ts';
import { findRunRequest, type NewRunRequest } from '../../src/db/queries/requests.ts';
import { requestManualRun } from '../../src/temporal/manual-request.ts';
import { type AllActivities, createFakes } from '../support/fakes.ts';
import { type House, openHouse } from '../support/house.ts';
import { eventually, type Rig, useRig } from '../support/rig.ts';

export const S = '2018-02-07';

/** A manual run of ingestion of S, changed as the test wants it. */
export function request(change: Partial<NewRunRequest>): NewRunRequest {
  return {
    requestId: `run-${Math.random().toString(36).slice(2)}`,
    task: 'ingestion',
    sessionDate: S,
    universe: 'tiny',
    force: false,
    trigger: 'manual',
    configHash: null,
    requestedBy: 'Ann',
    ...change,
  };
}

/** A rig for all tests of a file and rows of its own for each. */
export function useQueueHouse() {
  const rigs = useRig();
  let house: House;
  beforeEach(async () => {
    house = await openHouse({ client: rigs.current.client });
  });
  afterEach(async () => house.close());
  return {
    get house(): House {
      return house;
    },
    get rig(): Rig {
      return rigs.current;
    },
    /** Real rows, tasks that do nothing but what `overrides` say. */
    prepare: (overrides: Partial<AllActivities & SlotActivities> = {}): Rig => {
      rigs.current.use({ ...createFakes().activities, ...house.runs, ...overrides });
      return rigs.current;
    },
    /** Asks for a manual run as a person does, and waits for its end. */
    manual: async (rig: Rig, asked: NewRunRequest): Promise<string> => {
      await requestManualRun({ client: rig.client, sql: house.api.sql, request: asked });
      const handle = rig.client.workflow.getHandle(manualRunWorkflowId(asked.requestId));
      await eventually('the manual run has begun', async () => {
        const row = await findRunRequest(house.api.sql, asked.requestId);
        return row !== null && row.takenAt !== null;
      });
      try {
        await handle.result();
        return 'succeeded';
      } catch (error) {
        if (error instanceof WorkflowFailedError) return error.cause?.message ?? 'failed';
        throw error;
      }
    },
  };
}
