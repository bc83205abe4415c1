import type { SlotLimits, SlotRequest } from '../contracts/slots.ts';
import type { Sql } from '../db/client.ts';
import { findSlotWaiters } from '../db/queries/task-runs.ts';
import { frozenConfig } from './planning/config-source.ts';

/** Runs that wait for a slot as the rows tell it, in the order of their creation, each with its own limits. */
export async function findSlotRequests(sql: Sql): Promise<SlotRequest[]> {
  const known = new Map<string, SlotLimits>();
  const requests: SlotRequest[] = [];
  for (const { configHash, ...waiter } of await findSlotWaiters(sql)) {
    const limits = known.get(configHash) ?? (await limitsOf(sql, configHash));
    known.set(configHash, limits);
    requests.push({ ...waiter, limits });
  }
  return requests;
}

async function limitsOf(sql: Sql, configHash: string): Promise<SlotLimits> {
  const { maxConcurrentJobs, maxInstances } = (await frozenConfig(sql, configHash)).config;
  return { maxConcurrentJobs, maxInstances };
}
