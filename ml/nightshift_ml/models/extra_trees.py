"""scikit-learn's extremely randomised trees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._forest import Forest

if TYPE_CHECKING:
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.tree import ExtraTreeClassifier


class ExtraTrees(Forest):
    id = "extraTrees"
    order = 6

    def tree(self, **settings: Any) -> ExtraTreeClassifier:
        from sklearn.tree import ExtraTreeClassifier

        return ExtraTreeClassifier(**settings)

    def forest(self, trees: int) -> ExtraTreesClassifier:
        from sklearn.ensemble import ExtraTreesClassifier

        return ExtraTreesClassifier(trees, n_jobs=1)


MODEL = ExtraTrees()
