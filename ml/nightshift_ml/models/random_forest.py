"""scikit-learn's random forest."""

from __future__ import annotations

from typing import Any

from sklearn.ensemble import RandomForestClassifier

from ._forest import Forest


class RandomForest(Forest):
    id = "randomForest"
    order = 5

    def build(self, **settings: Any) -> RandomForestClassifier:
        return RandomForestClassifier(**settings)


MODEL = RandomForest()
