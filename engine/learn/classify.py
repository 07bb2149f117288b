"""The chance of each family for a sound: a multinomial logistic regression on its shape."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.learn.shape import shape

Floats = NDArray[np.float64]

MOST_SPREADS = 3.0
"""An input further from the mean counts as so far: what lies outside of all that was learned must not extrapolate."""


@dataclass(frozen=True, eq=False)
class Classifier:
    """The families with mean, spread `[LENGTH]`, weights `[families, LENGTH]` and bias `[families]`, all float64.

    The temperature of the calibration is part of weights and bias.
    """

    families: tuple[str, ...]
    mean: Floats
    spread: Floats
    weights: Floats
    bias: Floats

    def chances(self, features: Floats) -> Floats:
        """Return float64 `[n, families]`, each row a distribution, of features `[n, len(schema())]`."""
        x = np.clip((shape(features) - self.mean) / self.spread, -MOST_SPREADS, MOST_SPREADS)
        logits = x @ self.weights.T + self.bias
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))
