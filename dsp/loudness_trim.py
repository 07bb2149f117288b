"""Brings a mix that never ends to its loudness: a gain that is known, and a slow trim for what was not foreseen.

The trim follows the gated loudness (BS.1770-5) of all that came in so far, measured before the gain: nothing feeds
back. The first seconds say little of an hour: what is measured counts for T / (T + 10 s) after T seconds above the
gate. It moves by 0.25 dB/s, and only while what comes in is heard: above -70 LUFS and no more than 10 LU below the
loudness so far. So silence and the tail of a room never pump it up.

Everything happens in hops of 10 ms that are counted in frames, so nothing depends on how the signal is cut into blocks.
"""

import numpy as np
import numpy.typing as npt

from dsp.jit import kernel
from dsp.loudness import (
    ABSOLUTE_GATE_LUFS,
    BINS,
    BLOCK_STEP_HOPS,
    BLOCKS,
    FRAME_IN_HOP,
    HOP_FRAMES,
    HOPS,
    HOPS_PER_SECOND,
    MOMENTARY_HOPS,
    RELATIVE_GATE_LU,
    add_block,
    channel_weights,
    hop_frames,
    k_weighting,
    mean_of_latest,
    take_energy,
    to_lufs,
    weigh,
)
from dsp.ramp import LaneRamp, advance

SPEED_DB_PER_S = 0.25
"""How fast the trim moves."""

DOUBT_S = 10.0
"""After how many seconds above the gate half of the difference that was measured counts."""

STEP_DB = SPEED_DB_PER_S / HOPS_PER_SECOND
DOUBT_BLOCKS = DOUBT_S * HOPS_PER_SECOND / BLOCK_STEP_HOPS

TRIM_DB, WANTED_DB, GATE_LUFS, GAIN, NEXT_GAIN = range(5)


@kernel(
    "void(float32[:, ::1], float32[:, ::1], float64, float64, float32[:, ::1], float64[:, ::1], float64[::1], "
    "float64[:, ::1], float64[:, ::1], float64[::1], int64[::1], int64[::1], float64[::1], float64[::1], "
    "float64[::1])"
)
def _trim(
    x: np.ndarray,
    y: np.ndarray,
    expected_lufs: float,
    range_db: float,
    ramp: np.ndarray,
    coefficients: np.ndarray,
    weights: np.ndarray,
    filters: np.ndarray,
    levels: np.ndarray,
    hops: np.ndarray,
    counters: np.ndarray,
    counts: np.ndarray,
    powers: np.ndarray,
    gated: np.ndarray,
    trim: np.ndarray,
) -> None:
    """Write x times the ramp's gain times the trim's to y, and measure x for the trim of the hops that follow.

    Shapes    x, y (frames, 2); ramp (4, 1); hops (40,): ring of powers; trim (5,): see the names above; the rest as in
              `dsp.loudness`
    Units     `range_db`: how far the trim may go either way, 0 or more
    """
    current, target, step, left = ramp[0], ramp[1], ramp[2], ramp[3]
    length = counters[HOP_FRAMES]
    first = 0
    while first < x.shape[0]:
        stop = min(x.shape[0], first + length - counters[FRAME_IN_HOP])
        for lane in range(2):
            weigh(x, first, stop, lane, coefficients, filters, levels)
        rise = (trim[NEXT_GAIN] - trim[GAIN]) / length
        at = counters[FRAME_IN_HOP] + 1 - first
        for n in range(first, stop):
            known = target[0]
            if left[0] > np.float32(0.0):
                known = advance(current, target, step, left, 0)
            gain = np.float32(known * (trim[GAIN] + rise * (n + at)))
            y[n, 0] = x[n, 0] * gain
            y[n, 1] = x[n, 1] * gain
        counters[FRAME_IN_HOP] += stop - first
        first = stop
        if counters[FRAME_IN_HOP] < length:
            continue
        counters[FRAME_IN_HOP] = 0
        at_hop = counters[HOPS] % MOMENTARY_HOPS
        hops[at_hop] = take_energy(weights, filters) / length
        counters[HOPS] += 1
        momentary = mean_of_latest(hops, at_hop, MOMENTARY_HOPS)
        if counters[HOPS] >= MOMENTARY_HOPS and counters[HOPS] % BLOCK_STEP_HOPS == 0:
            integrated = add_block(momentary, counts, powers, counters, gated)
            if counters[BLOCKS] > 0:
                known_share = counters[BLOCKS] / (counters[BLOCKS] + DOUBT_BLOCKS)
                trim[WANTED_DB] = (expected_lufs - integrated) * known_share
                trim[GATE_LUFS] = max(ABSOLUTE_GATE_LUFS, integrated + RELATIVE_GATE_LU)
        wanted = trim[TRIM_DB]
        if counters[BLOCKS] > 0 and to_lufs(momentary) > trim[GATE_LUFS]:
            wanted = trim[WANTED_DB]
        way = min(range_db, max(-range_db, wanted)) - trim[TRIM_DB]
        trim[TRIM_DB] += min(STEP_DB, max(-STEP_DB, way))
        trim[GAIN] = trim[NEXT_GAIN]
        trim[NEXT_GAIN] = 10.0 ** (trim[TRIM_DB] / 20.0)


class LoudnessTrim:
    """A stereo gain, the ramp's, with a slow trim on top towards what a mix of `expected_lufs` would have become.

    While the ramp is at 1 and the trim has not moved, the signal passes bit for bit. Input has to be finite.
    """

    def __init__(self, rate_hz: float, expected_lufs: float, ramp: LaneRamp) -> None:
        self._expected_lufs = expected_lufs
        self._counters = np.zeros(4, np.int64)
        self._counters[HOP_FRAMES] = hop_frames(rate_hz)
        self._trim = np.array([0.0, 0.0, ABSOLUTE_GATE_LUFS, 1.0, 1.0])
        self._filters = np.zeros((2, 5))
        self._programme: tuple[npt.NDArray[np.generic], ...] = (
            np.zeros(MOMENTARY_HOPS),
            self._counters,
            np.zeros(BINS, np.int64),
            np.zeros(BINS),
            np.zeros(1),
        )
        self._state = (
            *(ramp.table, k_weighting(rate_hz), channel_weights(2), self._filters, np.zeros((2, 2))),
            *(*self._programme, self._trim),
        )

    def process(self, x: npt.NDArray[np.float32], y: npt.NDArray[np.float32], range_db: float) -> None:
        """Take one block x (frames, 2) to y; the trim stays within `range_db`, or goes back to it, either way."""
        _trim(x, y, self._expected_lufs, range_db, *self._state)

    @property
    def trim_db(self) -> float:
        """Where the trim is, in dB."""
        return float(self._trim[TRIM_DB])

    def adopt(self, other: "LoudnessTrim") -> None:
        """Go on from the trim of another at the same rate; what it measured counts if it expected the same loudness."""
        np.copyto(self._trim, other._trim)
        np.copyto(self._filters, other._filters)
        for mine, its in zip(self._programme, other._programme, strict=True):
            np.copyto(mine, its)
        if other._expected_lufs != self._expected_lufs:
            _, _, counts, powers, gated = self._programme
            for array in (counts, powers, gated):
                array.fill(0)
            self._counters[BLOCKS] = 0
            self._trim[WANTED_DB] = 0.0

    def reset(self) -> None:
        """Start a new programme, without a trim."""
        self._filters.fill(0.0)
        length = self._counters[HOP_FRAMES]
        for array in self._programme:
            array.fill(0)
        self._counters[HOP_FRAMES] = length
        self._trim[:] = (0.0, 0.0, ABSOLUTE_GATE_LUFS, 1.0, 1.0)
