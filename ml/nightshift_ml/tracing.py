"""Traces, on request: activities as spans below the workflows that asked for them.

OpenTelemetry is loaded only then. Its packages have a lock of their own, `requirements-tracing.lock`: the one
of the runtime is part of every model's name.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from temporalio.worker import Interceptor

_log = logging.getLogger("nightshift.ml")
#: Of one batch, with what is tried again.
_EXPORT_SECONDS = 3.0
#: What the end of the worker waits for its last spans.
_CLOSE_SECONDS = 3.0
#: The same names in `src/contracts/wire/tracing.ts`.
_ATTRIBUTES = {"sessionDate": "nightshift.session_date", "taskRunId": "nightshift.task_run_id"}


@dataclass(frozen=True)
class Tracing:
    """`interceptor` goes before those that add to its spans; `close` sends what is left, within a bound."""

    interceptor: Interceptor
    close: Callable[[], None]


class _SayingOnce:
    """Tells of the first batch that was lost, and of the first one after a batch that was not."""

    def __init__(self, exporter: Any) -> None:
        self._exporter = exporter
        self._failing = False
        self.shutdown = exporter.shutdown
        self.force_flush = exporter.force_flush

    def export(self, spans: Sequence[Any]) -> Any:
        result = self._exporter.export(spans)
        failed = result.name != "SUCCESS"
        if failed and not self._failing:
            _log.warning("traces cannot be delivered")
        self._failing = failed
        return result


#: Whether spans are made in this process.
_on = False


def start_tracing(url: str) -> Tracing | None:
    """Spans go to `url` as OTLP over HTTP. None, with a line that says so, where the packages are missing."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
        from temporalio.contrib.opentelemetry import TracingInterceptor
    except ImportError as error:
        _log.warning("no traces: %s (pip install -r ml/requirements-tracing.lock)", error)
        return None

    # It would tell of each attempt.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    instance = f"{os.getpid()}@{socket.gethostname()}"
    service = os.environ.get("OTEL_SERVICE_NAME") or "nightshift-ml"
    provider = TracerProvider(
        resource=Resource.create({"service.name": service, "service.instance.id": instance}),
        # Requests and workflows begin traces; an activity of nobody's trace is none.
        sampler=ParentBased(ALWAYS_OFF),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(
        BatchSpanProcessor(_SayingOnce(OTLPSpanExporter(endpoint=url, timeout=_EXPORT_SECONDS)))
    )

    def close() -> None:
        ending = threading.Thread(target=provider.shutdown, daemon=True)
        ending.start()
        ending.join(_CLOSE_SECONDS)

    global _on
    _on = True
    return Tracing(TracingInterceptor(provider.get_tracer("nightshift")), close)


def annotate(run: Mapping[str, str]) -> None:
    """Adds session and task run to the span that runs."""
    if not _on:
        return
    from opentelemetry import trace

    trace.get_current_span().set_attributes({_ATTRIBUTES[name]: value for name, value in run.items()})


def trace_ids() -> dict[str, str]:
    """{trace_id, span_id} of the span that runs, for lines of logs; {} where none is taken."""
    if not _on:
        return {}
    from opentelemetry import trace

    span = trace.get_current_span()
    if not span.is_recording():
        return {}
    context = span.get_span_context()
    return {
        "trace_id": trace.format_trace_id(context.trace_id),
        "span_id": trace.format_span_id(context.span_id),
    }
