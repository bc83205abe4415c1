"""Which run an activity is part of: session and task run, from the header that our workflows send along."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from .tracing import annotate

#: The same name in `src/contracts/wire/run-context.ts`.
HEADER = "nightshift-run"
_FIELDS = ("sessionDate", "taskRunId")
_current: ContextVar[dict[str, str] | None] = ContextVar("nightshift_run", default=None)


def run_context() -> dict[str, str]:
    """{sessionDate, taskRunId} of the activity that runs here, as far as its workflow told them."""
    return _current.get() or {}


def read_header(headers: Mapping[str, Payload]) -> dict[str, str]:
    """What the header says; a header of another form says nothing."""
    payload = headers.get(HEADER)
    if payload is None:
        return {}
    (value,) = activity.payload_converter().from_payloads([payload])
    if not isinstance(value, dict):
        return {}
    return {name: value[name] for name in _FIELDS if isinstance(value.get(name), str)}


class RunContextInterceptor(Interceptor):
    """Keeps what the header says: each activity has its own context, and the SDK logs its end after us."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Inbound(next)


class _Inbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        run = read_header(input.headers)
        _current.set(run)
        annotate(run)
        return await super().execute_activity(input)
