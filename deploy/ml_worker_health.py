"""Health of a model worker container: does Temporal see this host asking for work on the queue?

Usage: python ml_worker_health.py QUEUE. Exit code 0 when it does.
"""

import asyncio
import socket
import sys
import time

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig

FRESH_SECONDS = 120


async def main(queue: str) -> int:
    client = await Client.connect(**ClientConfig.load_client_connect_config())
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        )
    )
    host = socket.gethostname()
    for poller in answer.pollers:
        fresh = time.time() - poller.last_access_time.seconds < FRESH_SECONDS
        if fresh and poller.identity.endswith(f"@{host}"):
            print(f"asks for work as {poller.identity}")
            return 0
    print(f"nobody on {host} asks for work on {queue}")
    return 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
