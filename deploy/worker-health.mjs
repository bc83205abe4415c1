// Health of a worker container: does Temporal see this host asking for work on the queue?
// Usage: node deploy/worker-health.mjs QUEUE. Exit code 0 when it does.
import { hostname } from 'node:os';
import { Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';

const FRESH_MS = 120_000;
const ACTIVITY_QUEUE = 2;
const [, , queue] = process.argv;

const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
const connection = await Connection.connect({ ...connectionOptions, connectTimeout: 5000 });
const { pollers } = await connection.workflowService.describeTaskQueue({
  namespace,
  taskQueue: { name: queue },
  taskQueueType: ACTIVITY_QUEUE,
});
await connection.close();
const ours = pollers.filter(
  ({ identity, lastAccessTime }) =>
    identity.endsWith(`@${hostname()}`) && Date.now() - Number(lastAccessTime.seconds) * 1000 < FRESH_MS,
);
console.log(
  ours.length > 0
    ? `asks for work as ${ours[0].identity}`
    : `nobody on ${hostname()} asks for work on ${queue}`,
);
process.exitCode = ours.length > 0 ? 0 : 1;
