"""What of a sound's features tells its family: its shape in time and frequency, whatever its level."""

import numpy as np
from numpy.typing import NDArray

from engine.learn.bands import NOMINAL_HZ
from engine.learn.features import LEVEL_MS, PERCENTILES, schema
from engine.learn.mel import COEFFICIENTS

Floats = NDArray[np.float64]

FLOOR_DB = -70.0
"""Below its RMS by this much, nothing tells of the sound any more."""

_PLACE = {feature.name: i for i, feature in enumerate(schema())}
_RELATIVE = [_PLACE[f"band_{hz:g}_hz"] for hz in NOMINAL_HZ]
_RELATIVE += [_PLACE[f"level_{ms}_ms_p{p}"] for ms in LEVEL_MS for p in PERCENTILES]
_MFCC = [_PLACE[f"mfcc_{k}"] for k in range(1, COEFFICIENTS)]
_HZ = [_PLACE["centroid"], _PLACE["zero_crossings"]]

LENGTH = len(_RELATIVE) + 1 + 2 + 1 + len(_MFCC)


def shape(features: Floats) -> Floats:
    """Return float64 `[n, LENGTH]` of features `[n, len(schema())]`.

    Levels of bands and percentiles less the RMS, at least -70 dB; crest; octaves of centroid and zero crossings; the
    logarithm of the flatness; cepstrum without its level.
    """
    rms = features[:, [_PLACE["rms"]]]
    return np.concatenate(
        [
            np.maximum(features[:, _RELATIVE] - rms, FLOOR_DB),
            features[:, [_PLACE["crest"]]],
            np.log2(np.maximum(features[:, _HZ], 10.0)),
            np.log10(np.maximum(features[:, [_PLACE["flatness"]]], 1e-8)),
            features[:, _MFCC],
        ],
        axis=1,
    )
