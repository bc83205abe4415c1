"""scikit-learn's random forest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._forest import Forest

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.tree import DecisionTreeClassifier


class RandomForest(Forest):
    id = "randomForest"
    order = 5

    def tree(self, **settings: Any) -> DecisionTreeClassifier:
        from sklearn.tree import DecisionTreeClassifier

        return DecisionTreeClassifier(**settings)

    def forest(self, trees: int) -> RandomForestClassifier:
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(trees, n_jobs=1)


MODEL = RandomForest()
