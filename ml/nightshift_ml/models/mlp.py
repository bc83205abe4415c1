"""Multilayer perceptron on standardised features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._base import Doubles, FitContext, Floats, Layers, Model, Real, Whole
from ._container import pack_arrays, unpack_arrays


@dataclass(frozen=True)
class Network:
    """Weights and biases per layer; ReLU between layers, the last one gives the log-odds."""

    weights: tuple[Doubles, ...]
    biases: tuple[Doubles, ...]


class Mlp(Model[Network]):
    id = "mlp"
    order = 8
    space = "logOdds"
    inputs = "scaled"
    explained_by = "permutation"
    modules = ("sklearn.neural_network",)
    declared = {
        "hiddenLayers": Layers((32, 16)),
        "epochs": Whole(8, 1, 1000),
        "learningRate": Real(0.001, 1e-6, 1),
        "batchRows": Whole(256, 8, 65_536),
    }

    @property
    def library(self) -> str:
        import sklearn

        return f"scikit-learn {sklearn.__version__}"

    def fit(self, x: Floats, y: Floats, context: FitContext) -> Network:
        from sklearn.neural_network import MLPClassifier

        given = context.parameters
        epochs = given["epochs"]
        model = MLPClassifier(
            hidden_layer_sizes=tuple(given["hiddenLayers"]),
            learning_rate_init=given["learningRate"],
            batch_size=min(given["batchRows"], len(x)),
            random_state=context.seed,
        )
        # One partial_fit is one pass over all rows: no early stopping, no random row split.
        for epoch in range(epochs):
            model.partial_fit(x, y, classes=np.array([0.0, 1.0], dtype=np.float32))
            context.progress("fit", epoch + 1, epochs)
        return Network(
            tuple(w.astype(np.float64) for w in model.coefs_),
            tuple(b.astype(np.float64) for b in model.intercepts_),
        )

    def margin(self, fitted: Network, x: Floats, threads: int) -> Doubles:  # noqa: ARG002
        # float64: a float32 product would depend on how many rows are multiplied at once.
        layer = x.astype(np.float64)
        last = len(fitted.weights) - 1
        for k, (weight, bias) in enumerate(zip(fitted.weights, fitted.biases, strict=True)):
            layer = layer @ weight + bias
            if k < last:
                np.maximum(layer, 0, out=layer)
        return layer[:, 0]

    def save(self, fitted: Network) -> bytes:
        layers = enumerate(zip(fitted.weights, fitted.biases, strict=True))
        return pack_arrays(
            {f"{name}{k}": a for k, pair in layers for name, a in zip("wb", pair, strict=True)}
        )

    def load(self, data: bytes) -> Network:
        arrays = unpack_arrays(data)
        count = len(arrays) // 2
        return Network(
            tuple(arrays[f"w{k}"] for k in range(count)), tuple(arrays[f"b{k}"] for k in range(count))
        )


MODEL = Mlp()
