"""What random forest and extra trees share: chunked fit, one-job predict, probability space."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import sklearn

from ._base import Doubles, FitContext, Floats, Model, Whole
from ._pickle import dump_estimator, load_estimator

_CHUNK_TREES = 10


class Forest(Model[Any]):
    """A bagged forest of scikit-learn; each tree sees `rowsPerTree` rows drawn with replacement."""

    space = "probability"
    inputs = "imputed"
    library = f"scikit-learn {sklearn.__version__}"
    explained_by = "tree"
    declared = {
        "trees": Whole(100, 1, 5000),
        "depth": Whole(8, 1, 32),
        "rowsPerTree": Whole(20_000, 10, 10_000_000),
        "minRowsPerLeaf": Whole(50, 1, 1_000_000),
    }

    @abstractmethod
    def build(self, **settings: Any) -> Any:
        """The library's estimator."""

    def fit(self, x: Floats, y: Floats, context: FitContext) -> Any:
        given = context.parameters
        trees = given["trees"]
        forest = self.build(
            n_estimators=0,
            max_depth=given["depth"],
            max_samples=min(given["rowsPerTree"], len(x)),
            min_samples_leaf=given["minRowsPerLeaf"],
            bootstrap=True,
            n_jobs=context.threads,
            random_state=context.seed,
            warm_start=True,
        )
        # Growing in chunks gives the same trees as all at once: seeds are drawn per tree, in order.
        for done in range(0, trees, _CHUNK_TREES):
            forest.set_params(n_estimators=min(done + _CHUNK_TREES, trees))
            forest.fit(x, y)
            context.progress("fit", forest.n_estimators, trees)
        return forest.set_params(n_jobs=1, warm_start=False)

    def margin(self, fitted: Any, x: Floats, threads: int) -> Doubles:  # noqa: ARG002
        # One job: threads would add the trees' votes in the order in which they end.
        return np.asarray(fitted.predict_proba(x)[:, 1], dtype=np.float64)

    def trees(self, fitted: Any) -> int:
        return len(fitted.estimators_)

    def save(self, fitted: Any) -> bytes:
        return dump_estimator(fitted)

    def load(self, data: bytes) -> Any:
        return load_estimator(data)
