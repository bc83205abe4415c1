"""Composition root of the model worker: `python -m nightshift_ml.worker`."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import signal
import socket
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib import metadata
from typing import Any

from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)
from temporalio.service import RPCError
from temporalio.worker import Worker

from .activities import MlActivities
from .errors import InvalidInput
from .hashing import code_hash, lock_hash
from .liveness import Liveness
from .logs import configure_logging, write_files
from .pool import Pool
from .process import die_with_parent, watch_parent
from .run_context import RunContextInterceptor
from .settings import Settings
from .tracing import start_tracing

_log = logging.getLogger("nightshift.ml")
_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 5.0
_REACH_SECONDS = 3.0


async def run(settings: Settings) -> None:
    """Serves the `ml` queue until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    tracing = None if settings.traces_url is None else start_tracing(settings.traces_url)
    async with Pool(settings.artifact_url, size=settings.slots, threads=settings.threads) as pool:
        client = await _until_stopped(_prepare(pool, settings.name), stop)
        if client is None:
            return
        worker = Worker(
            client,
            task_queue=settings.task_queue,
            activities=MlActivities(pool, threads=settings.threads).all(),
            max_concurrent_activities=settings.slots,
            interceptors=[*([] if tracing is None else [tracing.interceptor]), RunContextInterceptor()],
            graceful_shutdown_timeout=timedelta(seconds=settings.grace_seconds),
            # A cancellation comes as the answer to a heartbeat: the default throttle would delay it by 30 s.
            max_heartbeat_throttle_interval=timedelta(seconds=1),
            default_heartbeat_throttle_interval=timedelta(seconds=1),
        )
        _log.info(
            "serving queue %s of %s, %d slot(s), code %.12s, lock %.12s",
            settings.task_queue,
            client.namespace,
            settings.slots,
            code_hash(),
            lock_hash(),
        )
        async with _beating(client, settings.database_url), worker:
            await stop.wait()
            _log.info("stopping: running activities have %s s", settings.grace_seconds)
    if tracing is not None:
        await asyncio.to_thread(tracing.close)
    _log.info("stopped")


@asynccontextmanager
async def _beating(client: Client, database_url: str | None) -> AsyncIterator[None]:
    """Records that this worker is alive for as long as it asks for work."""
    if database_url is None:
        _log.warning("NIGHTSHIFT_DB_URL_ML is not set: outages of this worker are not recorded")
        yield
        return
    loop = asyncio.get_running_loop()
    limit = timedelta(seconds=_REACH_SECONDS)

    async def ask() -> None:
        await client.workflow_service.get_system_info(GetSystemInfoRequest(), timeout=limit)

    def reach() -> None:
        # Through the worker's own loop: while that is stuck, heartbeats are too.
        asked = asyncio.run_coroutine_threadsafe(ask(), loop)
        try:
            asked.result(2 * _REACH_SECONDS)
        finally:
            asked.cancel()

    liveness = Liveness(database_url, reach=reach)
    liveness.start()
    try:
        yield
    finally:
        await asyncio.to_thread(liveness.stop)


async def _prepare(pool: Pool, name: str) -> Client:
    client = await _connect(f"{name}:{os.getpid()}@{socket.gethostname()}")
    # Until the libraries are loaded another worker is the better taker of a task.
    await pool.ready()
    return client


async def _connect(identity: str) -> Client:
    """Connects by the standard environment (address, namespace, API key, TLS, profile); retries for ever.

    `identity` is what histories and the Web UI show; health checks look for the host at its end.
    """
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    wait = _FIRST_WAIT_SECONDS
    while True:
        try:
            return await Client.connect(**config, identity=identity)
        except (RuntimeError, RPCError) as error:
            _log.warning(
                "cannot reach Temporal at %s (%s), next try in %.1f s", config["target_host"], error, wait
            )
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)


def _forward_sdk_logs() -> None:
    """What the SDK's core says comes as lines of our own; left alone it prints coloured text between them."""
    forwarding = LogForwardingConfig(logging.getLogger("temporalio.core"), append_target_to_name=False)
    levels = TelemetryFilter(core_level="WARN", other_level="WARN")
    Runtime.set_default(
        Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(levels, forwarding=forwarding)))
    )


async def _until_stopped(work: Coroutine[Any, Any, Client], stop: asyncio.Event) -> Client | None:
    task = asyncio.create_task(work)
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if task.done():
        return task.result()
    task.cancel()
    return None


def main() -> None:
    """Exit codes: 0 stopped, 1 failed or orphaned, 2 wrong environment."""
    configure_logging()
    try:
        settings = Settings.from_env()
    except InvalidInput as error:
        _log.error("%s", error)
        sys.exit(2)
    if settings.log_folder is not None:
        write_files(settings.log_folder)
    _forward_sdk_logs()
    _log.info("versions: python %s, tzdata %s", platform.python_version(), metadata.version("tzdata"))
    # The processes that fit have no use for a login.
    os.environ.pop("NIGHTSHIFT_DB_URL_ML", None)
    if settings.parent_pid is not None:
        die_with_parent(settings.parent_pid)
        watch_parent(settings.parent_pid, lambda: os._exit(1))
    asyncio.run(run(settings))


if __name__ == "__main__":
    main()
