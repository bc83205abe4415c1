"""What a pool process does: one function per activity, plain Python, no Temporal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..contracts import CONTRACT, parse_input, to_wire
from ._context import JobContext as JobContext
from .explain import explain_model, explain_signals
from .fit import fit_final, fit_fold
from .meta import fit_meta
from .score import score

_JOBS: dict[str, Callable[[Any, JobContext], Any]] = {
    "fitFold": fit_fold,
    "fitFinal": fit_final,
    "fitMeta": fit_meta,
    "explainModel": explain_model,
    "score": score,
    "explainSignals": explain_signals,
}


def run_job(name: str, payload: Any, context: JobContext) -> dict[str, Any]:
    """Runs one activity's work on its wire input; returns its wire output. Raises MlError."""
    given = parse_input(CONTRACT[name][0], payload)
    return to_wire(_JOBS[name](given, context))
