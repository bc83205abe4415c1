"""Traces: off by default; activities as spans below workflows; a collector that is away costs nothing."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from temporalio.converter import DataConverter
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from nightshift_ml import tracing
from nightshift_ml.errors import InvalidInput
from nightshift_ml.logs import JsonFormatter
from nightshift_ml.run_context import RunContextInterceptor
from nightshift_ml.settings import Settings

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN_ID = "00f067aa0ba902b7"


def python(code: str) -> str:
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=True)
    return done.stdout


def test_nothing_of_it_is_loaded_by_default() -> None:
    code = (
        "import sys, nightshift_ml.worker; print([name for name in sys.modules if 'opentelemetry' in name])"
    )
    assert python(code) == "[]\n"


def test_says_what_is_missing_and_works_on() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from nightshift_ml.logs import configure_logging; configure_logging()\n"
        "from nightshift_ml.tracing import start_tracing; print(start_tracing('http://127.0.0.1:1'))"
    )
    line, result = python(code).splitlines()
    assert "pip install -r ml/requirements-tracing.lock" in json.loads(line)["msg"]
    assert result == "None"


def test_the_standard_variables_decide() -> None:
    def url(**env: str) -> str | None:
        return Settings.from_env({"ARTIFACT_URL": "file:///a", **env}).traces_url

    assert url() is None
    assert url(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318/") == "http://127.0.0.1:4318/v1/traces"
    assert url(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318", OTEL_SDK_DISABLED="true") is None
    for wrong in ("127.0.0.1:4318", "grpc://host", "http://"):
        with pytest.raises(InvalidInput, match="OTEL_EXPORTER_OTLP_ENDPOINT must be"):
            url(OTEL_EXPORTER_OTLP_ENDPOINT=wrong)


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    received: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", received
        server.shutdown()


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="requirements-tracing.lock")
    monkeypatch.setattr(tracing, "_on", False)
    monkeypatch.setattr(logging.getLogger("opentelemetry"), "level", logging.NOTSET)


def run_traced(url: str) -> tuple[str, float]:
    """A line logged inside an activity that a traced workflow asked for, and how long the end took."""
    started = tracing.start_tracing(url)
    assert started is not None
    convert = DataConverter.default.payload_converter.to_payload
    headers = {
        "_tracer-data": convert({"traceparent": f"00-{TRACE_ID}-{SPAN_ID}-01"}),
        "nightshift-run": convert({"sessionDate": "2018-02-07", "taskRunId": "run-1"}),
    }

    def work() -> str:
        record = logging.LogRecord("nightshift.ml", logging.INFO, __file__, 1, "fitted", (), None)
        return JsonFormatter().format(record)

    class Run(ActivityInboundInterceptor):
        def __init__(self) -> None:
            pass

        async def execute_activity(self, input: ExecuteActivityInput) -> Any:
            return input.fn()

    chain = started.interceptor.intercept_activity(RunContextInterceptor().intercept_activity(Run()))
    asked = ExecuteActivityInput(fn=work, args=[], executor=None, headers=headers)
    line = str(asyncio.run(ActivityEnvironment().run(chain.execute_activity, asked)))
    begun = time.monotonic()
    started.close()
    return line, time.monotonic() - begun


@pytest.mark.usefixtures("packages")
def test_an_activity_is_a_span_below_its_workflow(collector: tuple[str, list[bytes]]) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    url, received = collector
    line, _ = run_traced(url)
    (batch,) = received
    (resource,) = ExportTraceServiceRequest.FromString(batch).resource_spans
    (span,) = resource.scope_spans[0].spans
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE_ID, SPAN_ID)
    assert span.name.startswith("RunActivity:")
    attributes = {item.key: item.value.string_value for item in span.attributes}
    assert attributes["nightshift.session_date"] == "2018-02-07"
    assert attributes["nightshift.task_run_id"] == "run-1"
    service = {item.key: item.value.string_value for item in resource.resource.attributes}
    assert service["service.name"] == "nightshift-ml"
    fields = json.loads(line)
    assert (fields["trace_id"], fields["span_id"]) == (TRACE_ID, span.span_id.hex())


@pytest.mark.usefixtures("packages")
def test_a_collector_that_is_away_is_said_once_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        line, seconds = run_traced("http://127.0.0.1:1/v1/traces")
    assert json.loads(line)["msg"] == "fitted"
    assert seconds < 5
    assert [entry.message for entry in caplog.records if entry.name == "nightshift.ml"] == [
        "traces cannot be delivered"
    ]
