"""The reverberation that is already in a sound file, and how much less of the room the sound needs for that.

The early and the late energy of a sound are told apart 50 ms after the direct sound, as for the Definition D50 of
ISO 3382-1. Of a recording's energy the share l = 1 - D50 is late; of a dry sound in the scene's room, the share l_r.
With the room's return turned to the power q, a recording has as much late energy for each early one as a dry sound if

    q = 1 - l / l_r,    l = w(T) L / (1 + L),  w(T) = 10 ** (-6 * 0.05 s / T),  L = 10 ** (-DRR / 10)

What has more reverberation than the room cannot be made drier; then a little of the room stays, as its glue.
"""

import math
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import SoundError
from engine.media import decode
from engine.scene.feature_store import FeatureStore, content_hash

if TYPE_CHECKING:
    from dsp.blind_decay import BlindDecay

KIND, VERSION = "reverberation", 2
"""The version is raised whenever `dsp.blind_decay` says something else."""
ANALYSIS_RATE_HZ = 16_000
"""Whatever the rate of a scene: what is sent to the room must not depend on it."""
LONGEST_S = 120
"""What is looked at of a file."""

EARLY_S = 0.05
LEAST_SEND_DB = -12.0
INAUDIBLE_SHARE = 1e-9
UNKNOWN_SHARE = 0.6
"""Where a sound's DRR is unknown: the share of the room's late energy that it is taken to bring along."""
LEAST_DRR_CONFIDENCE = 0.3
SEND_DIGITS = 1
"""Sends are rounded to 0.1 dB, so that the last digits of an estimate do not count."""

MOST_KNOWN = 4096


@dataclass(frozen=True, slots=True)
class BandReverberation:
    """What an octave shows; `decays` are those that agree, of `candidates`."""

    centre_hz: float
    rt60_s: float | None
    drr_db: float | None
    decays: int
    candidates: int


@dataclass(frozen=True, slots=True)
class Reverberation:
    """The reverberation in a recording: `rt60_s` None where it is unknown, and `why` says why.

    `drr_db` is the energy of the direct sound over that of all that follows, with a standard error of about
    `drr_uncertainty_db`; both None where unknown. Confidences are 0 to 1. See `dsp.blind_decay`.
    """

    rt60_s: float | None
    rt60_confidence: float
    drr_db: float | None
    drr_uncertainty_db: float | None
    drr_confidence: float
    bands: tuple[BandReverberation, ...]
    why: str

    @property
    def decays(self) -> int:
        """How many decays agree, over all bands."""
        return sum(band.decays for band in self.bands)

    def send_db(self, room_rt60_s: float, room_drr_db: float) -> float:
        """Return the send that brings the sound into such a room, -12 to 0 dB; 0 where nothing is known."""
        if self.rt60_s is None:
            return 0.0
        drr_db = self.drr_db if self.drr_confidence >= LEAST_DRR_CONFIDENCE else None
        wanted_db = send_db(self.rt60_s, self.rt60_confidence, drr_db, room_rt60_s, room_drr_db)
        return round(wanted_db, SEND_DIGITS) + 0.0


def send_db(
    rt60_s: float, confidence: float, drr_db: float | None, room_rt60_s: float, room_drr_db: float
) -> float:
    """Return the send, -12 to 0 dB, of a sound with such a tail, known with `confidence` 0…1, for such a room.

    It falls with `rt60_s` and `confidence`, and rises with `drr_db` and `room_rt60_s`. `room_drr_db` is that of a dry
    sound in the room; without a room it is infinite, and the send 0 dB.
    """
    room_share = _late_share(room_rt60_s, room_drr_db)
    if room_share < INAUDIBLE_SHARE:
        return 0.0
    if drr_db is None:
        brought = UNKNOWN_SHARE * min(1.0, _left(rt60_s) / _left(room_rt60_s))
    else:
        brought = min(1.0, _late_share(rt60_s, drr_db) / room_share)
    power = 1.0 - min(max(confidence, 0.0), 1.0) * brought
    return max(LEAST_SEND_DB, 10.0 * math.log10(power)) if power > 0.0 else LEAST_SEND_DB


def _left(rt60_s: float) -> float:
    """Return the share of a tail's energy that comes after 50 ms."""
    return math.pow(10.0, -6.0 * EARLY_S / max(rt60_s, 1e-3))


def _late_share(rt60_s: float, drr_db: float) -> float:
    """Return 1 - D50 of a direct sound and its tail."""
    return _left(rt60_s) / (1.0 + math.pow(10.0, 0.1 * min(max(drr_db, -200.0), 200.0)))


_known: dict[tuple[Path, int, int], Reverberation] = {}
_lock = threading.Lock()


def reverberation_of(path: Path, store: FeatureStore | None = None) -> Reverberation:
    """Return what is in a sound file; what was once measured is taken from `store`, by default the user's own.

    Any thread may ask. Raises SoundError for a file that cannot be used.
    """
    try:
        status = path.stat()
        key = path, status.st_mtime_ns, status.st_size
        with _lock:
            if store is None and key in _known:
                return _known[key]
        content = content_hash(path)
    except OSError:
        return measured(path)  # `decode` says what is wrong
    kept = FeatureStore() if store is None else store
    found = _read(kept.get(content, KIND, VERSION))
    if found is None:
        found = measured(path)
        kept.put(content, KIND, VERSION, asdict(found))
    if store is None:
        with _lock:
            if len(_known) >= MOST_KNOWN:
                _known.clear()
            _known[key] = found
    return found


def reverberation_or_none(path: Path) -> Reverberation | None:
    """Return what is in a sound file, None for one that cannot be used."""
    try:
        return reverberation_of(path)
    except SoundError:
        return None


def measured(path: Path) -> Reverberation:
    """Return what is in a sound file, measured now; raises SoundError for one that cannot be used."""
    # Imported late: it brings kernels, which nobody has to wait for whose sounds were measured before.
    from dsp.blind_decay import blind_decay

    return rounded(
        blind_decay(decode(path, ANALYSIS_RATE_HZ)[: LONGEST_S * ANALYSIS_RATE_HZ], ANALYSIS_RATE_HZ)
    )


def rounded(found: "BlindDecay") -> Reverberation:
    """Return an estimate with the digits that mean something, as it is kept."""
    bands = tuple(
        BandReverberation(b.centre_hz, _round(b.rt60_s, 3), _round(b.drr_db, 1), b.decays, b.candidates)
        for b in found.bands
    )
    return Reverberation(
        _round(found.rt60_s, 3),
        round(found.rt60_confidence, 2),
        _round(found.drr_db, 1),
        None if found.drr_db is None else round(found.drr_uncertainty_db, 1),
        round(found.drr_confidence, 2),
        bands,
        found.why,
    )


def _round(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _read(data: dict[str, Any] | None) -> Reverberation | None:
    """Return what was kept, None if it is not that."""
    try:
        if data is None:
            return None
        bands = tuple(BandReverberation(**band) for band in data["bands"])
        return Reverberation(**{**data, "bands": bands})
    except (TypeError, KeyError):
        return None
