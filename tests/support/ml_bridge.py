"""Runs the jobs of the model worker for tests of the TypeScript side: one JSON line in, one out."""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def main() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Libraries print to stdout now and then; only answers may go there.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    from nightshift_ml.activities import library_versions
    from nightshift_ml.artifacts import ArtifactStore
    from nightshift_ml.errors import MlError
    from nightshift_ml.hashing import code_hash, lock_hash, platform_id
    from nightshift_ml.jobs import JobContext, run_job

    contexts: dict[str, JobContext] = {}

    def answer(store: str, name: str, payload: Any) -> Any:
        if name != "mlInfo":
            context = contexts.get(store) or contexts.setdefault(store, JobContext(ArtifactStore(store)))
            return run_job(name, payload, context)
        return {
            "libraryVersions": library_versions(),
            "codeHash": code_hash(),
            "lockHash": lock_hash(),
            "platform": platform_id(),
            "threads": 2,
            "cudaAvailable": False,
        }

    for line in sys.stdin:
        message = json.loads(line)
        try:
            reply = {"output": answer(message["store"], message["name"], message["input"])}
        except MlError as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(reply, allow_nan=False) + "\n")


main()
