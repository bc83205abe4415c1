"""scikit-learn's extremely randomised trees."""

from __future__ import annotations

from typing import Any

from sklearn.ensemble import ExtraTreesClassifier
from sklearn.tree import ExtraTreeClassifier

from ._forest import Forest


class ExtraTrees(Forest):
    id = "extraTrees"
    order = 6

    def tree(self, **settings: Any) -> ExtraTreeClassifier:
        return ExtraTreeClassifier(**settings)

    def forest(self, trees: int) -> ExtraTreesClassifier:
        return ExtraTreesClassifier(trees, n_jobs=1)


MODEL = ExtraTrees()
