import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { expect, it } from 'vitest';

import { TASK_QUEUES } from '../../src/contracts/wire/names.ts';
import { checkRuns } from '../../src/runtime/doctor-services.ts';
import { registerSearchAttributes } from '../../src/temporal/search-attributes.ts';
import { testTemporal, uniqueName } from '../support/env.ts';
import { eventually, quietRuntime } from '../support/rig.ts';

it('the doctor names open runs whose own code fails again and again', async () => {
  quietRuntime();
  const { address, workflowBundlePath } = testTemporal();
  const namespace = uniqueName('stuck');
  const [connection, native] = await Promise.all([
    Connection.connect({ address }),
    NativeConnection.connect({ address }),
  ]);
  await connection.workflowService.registerNamespace({
    namespace,
    workflowExecutionRetentionPeriod: { seconds: 86_400 as never },
  });
  await registerSearchAttributes(connection, namespace);
  const client = new Client({ connection, namespace });
  const worker = await Worker.create({
    connection: native,
    namespace,
    taskQueue: TASK_QUEUES.pipeline,
    workflowBundle: { codePath: workflowBundlePath },
  });
  const run = worker.run();
  try {
    expect(await checkRuns({ connection, namespace })).toBe('0 open, none of them stuck');
    // A failed attempt is reported once; the next ones wait for their time-out, ten seconds unless told.
    const options = { taskQueue: TASK_QUEUES.pipeline, workflowTaskTimeout: '1 second' } as const;
    // A name no bundle of ours exports: each of its workflow tasks fails.
    const handle = await client.workflow.start('taskOfAnotherRelease', {
      ...options,
      args: [],
      workflowId: 'stuck-night',
    });
    const problem = await eventually(
      'the server says so',
      () =>
        checkRuns({ connection, namespace }).then(
          () => undefined,
          (error: Error) => error.message,
        ),
      120_000,
    );
    expect(problem).toBe('1 open run cannot go on: stuck-night');
    await handle.terminate('test');
    await eventually('it is gone', async () => {
      const words = await checkRuns({ connection, namespace }).catch(() => '');
      return words === '0 open, none of them stuck';
    });
  } finally {
    worker.shutdown();
    await run;
    await native.close();
    await connection.close();
  }
});
