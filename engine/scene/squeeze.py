"""A compressor set for a track's sounds: how far it turns them down, and the gain that makes up for it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dsp.clip_loudness import active_loudness
from dsp.units import amplitude_to_db, db_to_amplitude
from engine.scene.kept_sounds import kept_record
from engine.scene.material import Material
from engine.scene.trim import TRIM_VERSION

Samples = NDArray[np.float32]

WORK_VERSION = 1
"""Of what is listened for; kept works of another version are done anew."""

LONGEST_S = 30.0
"""Of a sound, what is listened to."""

BLOCK_S = 0.001
ACTIVE_DB = 40.0
"""Below the loudest block by more, a block is a rest."""

SHARE = 0.95
"""Of the active blocks: the reduction that 5 % of them exceed."""

MAKE_UP_DB = (-24.0, 12.0)


@dataclass(frozen=True)
class Squeeze:
    """A compressor: threshold in dBFS of the sound as it is given, times in pedalboard's sense, and its make-up."""

    threshold_db: float
    ratio: float
    attack_ms: float
    release_ms: float
    gain_db: float

    def shifted(self, by_db: float) -> "Squeeze":
        """Return the compressor for a sound that is `by_db` louder."""
        return replace(self, threshold_db=self.threshold_db + by_db)


class Work(NamedTuple):
    """What a compressor does: the gain reduction that 5 % of the active time exceed, and what it takes off, in LU."""

    reduction_db: float
    lost_lu: float


def work_of(squeeze: Squeeze, samples: Samples, rate_hz: int) -> Work:
    """Return what the compressor does to float32 `[frames, channels]`, of which it hears 30 s at most."""
    # Imported late: few scenes have a compressor, and it brings kernels.
    from dsp.identify_kernels import compress, time_share

    x = np.ascontiguousarray(samples[: round(LONGEST_S * rate_hz)])
    y = np.empty_like(x)
    rising, falling = (time_share(ms, rate_hz) for ms in (squeeze.attack_ms, squeeze.release_ms))
    threshold, exponent = db_to_amplitude(squeeze.threshold_db), 1.0 / squeeze.ratio - 1.0
    compress(x, y, rising, falling, threshold, exponent, np.zeros(x.shape[1], np.float32))
    lost_lu = active_loudness(x, rate_hz) - active_loudness(y, rate_hz)
    return Work(_reduction_db(x, y, rate_hz), lost_lu)


def _reduction_db(x: Samples, y: Samples, rate_hz: int) -> float:
    block = max(1, round(BLOCK_S * rate_hz))
    blocks = max(1, len(x) // block)
    before, after = (
        np.square(v[: blocks * block].reshape(blocks, -1), dtype=np.float64).mean(axis=1) for v in (x, y)
    )
    active = before > before.max() * 10.0 ** (-ACTIVE_DB / 10.0)
    if not active.any():
        return 0.0
    taken_db = 10.0 * np.log10(before[active] / np.maximum(after[active], 1e-30))
    return float(np.quantile(taken_db, SHARE))


def kept_work(squeeze: Squeeze, material: Material, rate_hz: int) -> Work:
    """Return what the compressor does to a sound; of a procedural one it is kept in the user's cache folder."""
    own = material.samples[:, :1] if material.mono else material.samples

    def listen() -> dict[str, float]:
        return work_of(squeeze, own, rate_hz)._asdict()

    if material.path is not None or material.origin is None:
        return work_of(squeeze, own, rate_hz)
    settings = (squeeze.threshold_db, squeeze.ratio, squeeze.attack_ms, squeeze.release_ms)
    record = kept_record(listen, f"work {WORK_VERSION} {settings} on {material.origin} trim {TRIM_VERSION}")
    try:
        return Work(float(record["reduction_db"]), float(record["lost_lu"]))
    except (KeyError, TypeError, ValueError):
        return work_of(squeeze, own, rate_hz)


def set_for(squeeze: Squeeze, works: Sequence[Work], makes_up: bool) -> tuple[Squeeze, float]:
    """Return the compressor with the make-up that leaves its sounds as loud as they are on the mean, and its reduction.

    Unless it `makes_up`, the gain stays what it is.
    """
    reduction_db = float(np.mean([work.reduction_db for work in works]))
    if makes_up:
        lost_db = float(np.clip(np.mean([work.lost_lu for work in works]), *MAKE_UP_DB))
        squeeze = replace(squeeze, gain_db=lost_db)
    return squeeze, reduction_db


def mean_gain_db(gains: Sequence[float]) -> float:
    """Return the mean of amplitudes, in dB of each; 0 for none."""
    return float(np.mean([amplitude_to_db(gain) for gain in gains])) if gains else 0.0
