import type { Connection } from '@temporalio/client';
import { isGrpcServiceError } from '@temporalio/client';

import { SEARCH_ATTRIBUTES } from '../contracts/wire/messages.ts';

/** `temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD`. */
const KEYWORD = 2;
const ALREADY_EXISTS = 6;

/**
 * Makes our search attributes known to a namespace; at boot, before any worker: an unknown attribute
 * fails workflow tasks in a loop. What is there already stays.
 */
export async function registerSearchAttributes(connection: Connection, namespace: string): Promise<void> {
  const known = await connection.operatorService.listSearchAttributes({ namespace });
  const missing = SEARCH_ATTRIBUTES.filter((name) => !(name in known.customAttributes));
  if (missing.length === 0) return;
  try {
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, KEYWORD])),
    });
  } catch (error) {
    // Two processes at boot: the other one was faster.
    const code: number | undefined = isGrpcServiceError(error) ? error.code : undefined;
    if (code !== ALREADY_EXISTS) throw error;
  }
}
