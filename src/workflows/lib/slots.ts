import {
  CancellationScope,
  condition,
  defineSignal,
  log,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';

import type { SlotActivities, SlotLimits } from '../../contracts/slots.ts';
import type { Task } from '../../contracts/wire/names.ts';
import { SLOT_GRANTED, type SlotGrant } from '../../contracts/wire/messages.ts';
import { serialLocalActivities } from './local-activities.ts';

export const slotGrantedSignal = defineSignal<[SlotGrant]>(SLOT_GRANTED);

/** A free slot is granted in one round trip; whoever has none after this shows as waiting. */
const QUIET_MS = 2_000;
/** A lost or terminated queue heals because everyone asks again; rarely enough to keep histories short. */
const ASK_AGAIN_MS = [5_000, 30_000, 60_000, 120_000];

export type SlotWish = {
  taskRunId: string;
  turn: number;
  task: Task;
  limits: SlotLimits;
  childId: string;
};

export type SlotDesk = {
  /** Resolves when the queue has granted the slot. `onWait` is called once if that takes a while. */
  acquire(wish: SlotWish, onWait: () => Promise<void>): Promise<void>;
  /** Gives the slot back without waiting for it to be said; what is asked for in the same moment says it too. */
  release(grant: SlotGrant): void;
  /** Says at once what was given back and resolves when that is said: wait for it before the workflow ends. */
  settled(): Promise<void>;
};

/** A workflow's side of the queue. Registers its handler at once: call it before the first await. */
export function createSlotDesk(): SlotDesk {
  const { requestSlot, releaseSlot } = serialLocalActivities<SlotActivities>('slots');
  const { workflowId, runId } = workflowInfo();
  const wanted = new Set<string>();
  const granted = new Set<string>();

  /** Given back, and the queue does not know it yet; of these, `unsaid` are those that nobody says. */
  const untold = new Set<SlotGrant>();
  const unsaid = new Set<SlotGrant>();
  let isClosing = false;
  // One question after the other: tasks of a night get their slots in the order in which they became ready.
  let asked: Promise<void> = Promise.resolve();

  const release = (grant: SlotGrant): void => {
    granted.delete(keyOf(grant));
    untold.add(grant);
    unsaid.add(grant);
    void CancellationScope.nonCancellable(async () => {
      if (!isClosing) await quiet();
      if (unsaid.delete(grant)) await sayReleased(grant);
    });
  };

  /** Until it could be said: everyone else waits for this slot. Of a closed run the queue takes it back by itself. */
  const sayReleased = async (grant: SlotGrant): Promise<void> => {
    const { taskRunId, turn } = grant;
    for (let round = 0; untold.has(grant); round += 1) {
      try {
        await releaseSlot({ taskRunId, turn });
        untold.delete(grant);
      } catch (error) {
        log.warn('slot not released', { taskRunId, turn, error: String(error) });
        const summary = 'gives a slot back again';
        if (isClosing) untold.delete(grant);
        else await condition(() => isClosing, ASK_AGAIN_MS[round] ?? 120_000, { summary });
      }
    }
  };

  setHandler(slotGrantedSignal, (grant) => {
    const key = keyOf(grant);
    if (wanted.has(key)) granted.add(key);
    // A late answer to a question nobody asks any more would hold the slot until this run closes.
    else if (!granted.has(key)) release(grant);
  });

  const acquire = async (wish: SlotWish, onWait: () => Promise<void>): Promise<void> => {
    const { taskRunId, turn } = wish;
    const key = keyOf(wish);
    const isGranted = (): boolean => granted.has(key);
    wanted.add(key);
    try {
      await ask(wish);
      if (await condition(isGranted, QUIET_MS, { summary: `${wish.task} asks for a slot` })) return;
      await onWait();
      for (let round = 0; ; round += 1) {
        const summary = `${wish.task} waits for a slot`;
        if (await condition(isGranted, ASK_AGAIN_MS[round] ?? 120_000, { summary })) return;
        await ask(wish);
      }
    } catch (error) {
      release({ taskRunId, turn });
      throw error;
    } finally {
      wanted.delete(key);
    }
  };

  const ask = (wish: SlotWish): Promise<void> => {
    const mine = asked.then(() => askNow(wish));
    asked = mine.catch(() => undefined);
    return mine;
  };

  const askNow = async (wish: SlotWish): Promise<void> => {
    const released = [...unsaid];
    unsaid.clear();
    try {
      await requestSlot({ ...wish, workflowId, runId, ...(released.length > 0 && { released }) });
      for (const grant of released) untold.delete(grant);
    } catch (error) {
      // A slot that was given back is missed by everyone: said alone, until it could be said.
      for (const grant of released) void CancellationScope.nonCancellable(() => sayReleased(grant));
      if (CancellationScope.current().consideredCancelled) throw error;
      log.warn('slot not asked for, asking again', { taskRunId: wish.taskRunId, error: String(error) });
    }
  };

  const settled = (): Promise<void> => {
    isClosing = true;
    for (const grant of unsaid) void CancellationScope.nonCancellable(() => sayReleased(grant));
    unsaid.clear();
    return CancellationScope.nonCancellable(() => condition(() => untold.size === 0));
  };

  return { acquire, release, settled };
}

/** Until everything that this moment sets off has run, what it asks for included. Takes no command. */
async function quiet(): Promise<void> {
  // The first round resolves conditions that wait for the same moment, the second comes when their work has run.
  for (let round = 0; round < 2; round += 1) {
    let turned = false;
    void Promise.resolve().then(() => {
      turned = true;
    });
    await condition(() => turned);
  }
}

function keyOf(grant: SlotGrant): string {
  return `${grant.taskRunId}#${grant.turn}`;
}
