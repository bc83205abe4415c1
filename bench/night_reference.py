"""The night's model work as a plain script: the same fits, stack, SHAP and scan, without Temporal or a pool.

Usage: python bench/night_reference.py PLAN.json. The plan names the artifact store and the inputs a real
night used; folds and models are fitted anew, because the store it writes to holds only the dataset.
Prints one JSON line.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "ml"))

from nightshift_ml.artifacts import ArtifactStore
from nightshift_ml.jobs import JobContext, run_job


def main() -> None:
    """Runs the plan; reports wall and CPU seconds, peak memory and the slope of the fitted stack."""
    plan = json.loads(Path(sys.argv[1]).read_text())
    started = time.perf_counter()
    context = JobContext(ArtifactStore(plan["artifactUrl"]))
    folds = [
        {
            "model": job["model"],
            "blockIndex": job["blockIndex"],
            **run_job("fitFold", job, context),
        }
        for job in plan["folds"]
    ]
    finals = {job["model"]: run_job("fitFinal", job, context)["modelHash"] for job in plan["finals"]}
    meta = run_job(
        "fitMeta",
        {
            **plan["meta"],
            "folds": [
                {key: fold[key] for key in ("model", "blockIndex", "predictionsHash")} for fold in folds
            ],
        },
        context,
    )
    newest = max(fold["blockIndex"] for fold in folds)
    for fold in folds:
        if fold["blockIndex"] == newest:
            job = {
                **plan["explain"],
                "model": fold["model"],
                "modelHash": fold["modelHash"],
                "blockIndex": newest,
            }
            run_job("explainModel", job, context)
    models = [{"model": model, "modelHash": model_hash} for model, model_hash in finals.items()]
    scored = run_job(
        "score",
        {
            "datasetHash": plan["datasetHash"],
            "models": models,
            "metaHash": meta["metaHash"],
        },
        context,
    )
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(
        json.dumps(
            {
                "wallSeconds": time.perf_counter() - started,
                "cpuSeconds": sum(each.ru_utime + each.ru_stime for each in usage),
                "peakMiB": usage[0].ru_maxrss / 1024,
                "metaSlope": meta["slope"],
                "rows": scored["rows"],
            }
        )
    )


if __name__ == "__main__":
    main()
