"""Imputation and scaling, fitted inside the training window and stored with the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ._base import Doubles, Floats, Inputs
from ._container import pack_arrays, unpack_arrays

#: Standardised values are cut here: one wrong price must not decide a linear model.
_CLIP = 10.0


@dataclass(frozen=True)
class Preprocess:
    """raw x [n, m] → [n, m + k]: k missing indicators of the features that had gaps in training."""

    median: Floats
    indicators: npt.NDArray[np.int32]
    mean: Floats | None
    scale: Floats | None

    @classmethod
    def fit(cls, x: Floats, inputs: Inputs) -> Preprocess | None:
        """Medians, indicators and (for `scaled`) mean and deviation of the training rows; None for native."""
        if inputs == "native":
            return None
        columns = x.shape[1]
        median = np.zeros(columns, dtype=np.float32)
        gaps = np.zeros(columns, dtype=bool)
        for j in range(columns):
            column = x[:, j]
            known = column[~np.isnan(column)]
            gaps[j] = 0 < len(known) < len(column)
            median[j] = np.median(known) if len(known) else 0.0
        imputed = cls(median, np.flatnonzero(gaps).astype(np.int32), None, None)
        if inputs == "imputed":
            return imputed
        filled = imputed.transform(x)
        mean = filled.mean(axis=0, dtype=np.float64)
        scale = filled.std(axis=0, dtype=np.float64)
        scale[scale < 1e-12] = 1.0
        # Nothing was learnt from a feature without any value: what it says later counts as nothing.
        scale[:columns][np.isnan(x).all(axis=0)] = np.inf
        return cls(median, imputed.indicators, mean.astype(np.float32), scale.astype(np.float32))

    def transform(self, x: Floats) -> Floats:
        """Raw features to what the model was fitted on, float32 C order."""
        missing = np.isnan(x)
        columns = x.shape[1]
        out = np.empty((len(x), columns + len(self.indicators)), dtype=np.float32)
        np.copyto(out[:, :columns], np.where(missing, self.median, x))
        out[:, columns:] = missing[:, self.indicators]
        if self.mean is not None and self.scale is not None:
            out -= self.mean
            out /= self.scale
            np.clip(out, -_CLIP, _CLIP, out=out)
        return out

    def to_features(self, values: Doubles) -> Doubles:
        """Contributions per column back to raw features: an indicator's belongs to its feature."""
        columns = len(self.median)
        out = values[:, :columns].copy()
        out[:, self.indicators] += values[:, columns:]
        return out

    def save(self) -> bytes:
        """Bytes of the fitted numbers."""
        arrays: dict[str, npt.NDArray[np.float32] | npt.NDArray[np.int32]] = {
            "median": self.median,
            "indicators": self.indicators,
        }
        if self.mean is not None and self.scale is not None:
            arrays |= {"mean": self.mean, "scale": self.scale}
        return pack_arrays(arrays)

    @classmethod
    def load(cls, data: bytes) -> Preprocess:
        """The inverse of `save`."""
        arrays = unpack_arrays(data)
        return cls(arrays["median"], arrays["indicators"], arrays.get("mean"), arrays.get("scale"))
