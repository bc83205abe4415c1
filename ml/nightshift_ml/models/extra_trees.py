"""scikit-learn's extremely randomised trees."""

from __future__ import annotations

from typing import Any

from sklearn.ensemble import ExtraTreesClassifier

from ._forest import Forest


class ExtraTrees(Forest):
    id = "extraTrees"
    order = 6

    def build(self, **settings: Any) -> ExtraTreesClassifier:
        return ExtraTreesClassifier(**settings)


MODEL = ExtraTrees()
