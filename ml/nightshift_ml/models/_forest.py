"""What random forest and extra trees share: bagged trees of scikit-learn, grown on gathered rows."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from ._base import Doubles, FitContext, Floats, Model, Whole
from ._pickle import dump_estimator, load_estimator


class Forest(Model[Any]):
    """A bagged forest; each tree sees `rowsPerTree` rows drawn with replacement."""

    space = "probability"
    inputs = "imputed"
    explained_by = "tree"
    modules = ("joblib", "sklearn.ensemble", "sklearn.tree")
    declared = {
        "trees": Whole(100, 1, 5000),
        "depth": Whole(8, 1, 32),
        "rowsPerTree": Whole(20_000, 10, 10_000_000),
        "minRowsPerLeaf": Whole(50, 1, 1_000_000),
    }

    @property
    def library(self) -> str:
        import sklearn

        return f"scikit-learn {sklearn.__version__}"

    @abstractmethod
    def tree(self, **settings: Any) -> Any:
        """One unfitted tree of the library."""

    @abstractmethod
    def forest(self, trees: int) -> Any:
        """The library's forest, to be given fitted trees; predicts with one job."""

    def fit(self, x: Floats, y: Floats, context: FitContext) -> Any:
        from joblib import Parallel, delayed

        given = context.parameters
        trees = given["trees"]
        seeds = np.random.SeedSequence(context.seed).generate_state(trees)
        labels = y.astype(np.float64)

        def grow(seed: int) -> Any:
            # Gathered rows lie together: the library's own bagging walks all rows of the window for each
            # tree, which takes most of the time when a tree uses a twentieth of them.
            rows = np.random.default_rng(seed).integers(0, len(x), min(given["rowsPerTree"], len(x)))
            tree = self.tree(
                max_depth=given["depth"],
                min_samples_leaf=given["minRowsPerLeaf"],
                max_features="sqrt",
                random_state=int(seed),
            )
            return tree.fit(x[rows], labels[rows])

        grown: list[Any] = []
        work = Parallel(n_jobs=context.threads, prefer="threads", return_as="generator")
        for tree in work(delayed(grow)(seed) for seed in seeds):
            grown.append(tree)
            context.progress("fit", len(grown), trees)
        return self._assemble(grown, x.shape[1])

    def margin(self, fitted: Any, x: Floats, threads: int) -> Doubles:  # noqa: ARG002
        # One job: threads would add the trees' votes in the order in which they end.
        return np.asarray(fitted.predict_proba(x)[:, 1], dtype=np.float64)

    def trees(self, fitted: Any) -> int:
        return len(fitted.estimators_)

    def save(self, fitted: Any) -> bytes:
        return dump_estimator(fitted)

    def load(self, data: bytes) -> Any:
        return load_estimator(data)

    def _assemble(self, trees: list[Any], columns: int) -> Any:
        forest = self.forest(len(trees))
        forest.estimators_ = trees
        forest.classes_ = np.array([0.0, 1.0])
        forest.n_classes_, forest.n_outputs_, forest.n_features_in_ = 2, 1, columns
        return forest
