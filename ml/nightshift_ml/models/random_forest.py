"""scikit-learn's random forest."""

from __future__ import annotations

from typing import Any

from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from ._forest import Forest


class RandomForest(Forest):
    id = "randomForest"
    order = 5

    def tree(self, **settings: Any) -> DecisionTreeClassifier:
        return DecisionTreeClassifier(**settings)

    def forest(self, trees: int) -> RandomForestClassifier:
        return RandomForestClassifier(trees, n_jobs=1)


MODEL = RandomForest()
