"""Loudness in LUFS: ITU-R BS.1770-5 weighting and gating, EBU Tech 3341 meters, EBU Tech 3342 range.

All meters stand on one measure: the K-weighted, channel-weighted power of every 10 ms hop. Momentary loudness
is the mean of 40 hops, short-term of 300, a gating block is 40 hops every 10; so a reading is never more than
10 ms old, and no result depends on how the signal is cut into blocks. Input has to be finite.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dsp.jit import device, kernel
from dsp.units import SILENCE_DB

HOPS_PER_SECOND = 100
MOMENTARY_HOPS, SHORT_TERM_HOPS, BLOCK_STEP_HOPS = 40, 300, 10

OFFSET_LUFS = -0.691
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
RANGE_GATE_LU = -20.0
INAUDIBLE = 1e-25
"""-500 dB."""

BINS_PER_LU = 20
BINS = 100 * BINS_PER_LU
"""From -70 to +30 LUFS; louder blocks fall in the last bin, with their true power."""

CHANNEL_WEIGHTS = {
    1: (1.0,),
    2: (1.0, 1.0),
    5: (1.0, 1.0, 1.0, 1.41, 1.41),
    6: (1.0, 1.0, 1.0, 0.0, 1.41, 1.41),
}
"""BS.1770-5 Annex 1, table 3: L R, L R C Ls Rs, L R C LFE Ls Rs."""

TABLE_RATE_HZ = 48_000.0
SHELF_HZ, SHELF_DB, SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
SHELF_MIDDLE_EXPONENT = 0.4996667741545416
HIGH_PASS_HZ, HIGH_PASS_Q = 38.13547087602444, 0.5003270373238773
"""Analog prototypes whose bilinear transforms at 48 kHz are the tables of BS.1770-5 (De Man, 2018)."""

RANGE_LOW, RANGE_HIGH = 0.10, 0.95
"""The percentiles of short-term loudness between which the range lies (EBU Tech 3342)."""

HOP_FRAMES, FRAME_IN_HOP, HOPS, BLOCKS = range(4)
MOMENTARY, SHORT_TERM, INTEGRATED, MOMENTARY_MAX, SHORT_TERM_MAX, RANGE = range(6)
READINGS = 6
PEAK, MEAN_SQUARE = range(2)


def k_weighting(rate_hz: float) -> npt.NDArray[np.float64]:
    """Return the two stages of K-weighting at `rate_hz` as rows (b0, b1, b2, a1, a2).

    The standard leaves the numerator of stage 2 at (1, -2, 1), which is +0.043 dB at 48 kHz; other rates are
    scaled to that same response.

    Source    BS.1770-5 Annex 1, tables 1 and 2
    """
    if not 8_000.0 <= rate_hz <= 384_000.0:
        raise ValueError(f"rate_hz is {rate_hz}; it must be 8000 to 384000")
    k = math.tan(math.pi * SHELF_HZ / rate_hz)
    top = 10.0 ** (SHELF_DB / 20.0)
    middle = top**SHELF_MIDDLE_EXPONENT
    a0 = 1.0 + k / SHELF_Q + k * k
    b = (top + middle * k / SHELF_Q + k * k, 2.0 * (k * k - top), top - middle * k / SHELF_Q + k * k)
    shelf = (b[0] / a0, b[1] / a0, b[2] / a0, 2.0 * (k * k - 1.0) / a0, (1.0 - k / SHELF_Q + k * k) / a0)

    def denominator(rate: float) -> tuple[float, float]:
        k = math.tan(math.pi * HIGH_PASS_HZ / rate)
        return k, 1.0 + k / HIGH_PASS_Q + k * k

    k, a0 = denominator(rate_hz)
    gain = denominator(TABLE_RATE_HZ)[1] / a0
    high_pass = (
        gain,
        -2.0 * gain,
        gain,
        2.0 * (k * k - 1.0) / a0,
        (1.0 - k / HIGH_PASS_Q + k * k) / a0,
    )
    return np.array([shelf, high_pass])


@device
def to_lufs(power: float) -> float:
    """Return the loudness of a K-weighted, channel-weighted power in LUFS, never below -144."""
    return max(SILENCE_DB, OFFSET_LUFS + 10.0 * math.log10(power)) if power > 0.0 else SILENCE_DB


@device
def weigh(
    x: np.ndarray, first: int, stop: int, lane: int, c: np.ndarray, s: np.ndarray, levels: np.ndarray
) -> None:
    """Run lane's frames first..stop through both stages (transposed direct form II).

    Adds the squares of the output to s[lane, 4] and the plain level of the input to `levels`.

    Shapes    x (frames, lanes); c (2, 5); levels (2, lanes);
              s (lanes, 5): two states a stage, then the energy
    """
    b0, b1, b2, a1, a2 = c[0, 0], c[0, 1], c[0, 2], c[0, 3], c[0, 4]
    d0, d1, d2, e1, e2 = c[1, 0], c[1, 1], c[1, 2], c[1, 3], c[1, 4]
    s1, s2, s3, s4, energy = s[lane, 0], s[lane, 1], s[lane, 2], s[lane, 3], s[lane, 4]
    peak, square = levels[PEAK, lane], levels[MEAN_SQUARE, lane]
    for n in range(first, stop):
        v = np.float64(x[n, lane])
        peak = max(peak, abs(v))
        square += v * v
        u = b0 * v + s1
        s1 = b1 * v - a1 * u + s2
        s2 = b2 * v - a2 * u
        w = d0 * u + s3
        s3 = d1 * u - e1 * w + s4
        s4 = d2 * u - e2 * w
        energy += w * w
    s[lane, 0], s[lane, 1], s[lane, 2], s[lane, 3], s[lane, 4] = s1, s2, s3, s4, energy
    levels[PEAK, lane], levels[MEAN_SQUARE, lane] = peak, square


@device
def take_energy(weights: np.ndarray, s: np.ndarray) -> float:
    """Return the channel-weighted energy gathered by `weigh` and start from 0.

    Filter states that have died away are zeroed here: in silence they would go on as slow subnormals.
    """
    total = 0.0
    for lane in range(weights.shape[0]):
        total += weights[lane] * s[lane, 4]
        s[lane, 4] = 0.0
        for i in range(4):
            s[lane, i] = s[lane, i] if abs(s[lane, i]) > INAUDIBLE else 0.0
    return total


@device
def mean_of_latest(hops: np.ndarray, at: int, length: int) -> float:
    """Return the mean of the `length` newest powers of the ring `hops`, the newest of which is in place `at`."""
    total = 0.0
    for i in range(length):
        j = at - i
        total += hops[j if j >= 0 else j + hops.shape[0]]
    return total / length


@device
def _gate(counts: np.ndarray, powers: np.ndarray, threshold_lufs: float) -> float:
    """Return the mean power of the blocks above the threshold.

    Bins are summed whole; the bin that holds the threshold counts if the mean of its blocks is above.
    """
    first = max(0, int((threshold_lufs - ABSOLUTE_GATE_LUFS) * BINS_PER_LU))
    count = 0
    total = 0.0
    for i in range(first, BINS):
        if i > first or (counts[i] > 0 and to_lufs(powers[i] / counts[i]) > threshold_lufs):
            count += counts[i]
            total += powers[i]
    return total / count if count > 0 else 0.0


@device
def add_block(
    power: float, counts: np.ndarray, powers: np.ndarray, counters: np.ndarray, gated: np.ndarray
) -> float:
    """Add one gating block of 400 ms and return the integrated loudness so far."""
    loudness = to_lufs(power)
    if loudness > ABSOLUTE_GATE_LUFS:
        i = min(BINS - 1, int((loudness - ABSOLUTE_GATE_LUFS) * BINS_PER_LU))
        counts[i] += 1
        powers[i] += power
        counters[BLOCKS] += 1
        gated[0] += power
    if counters[BLOCKS] == 0:
        return SILENCE_DB
    return to_lufs(_gate(counts, powers, to_lufs(gated[0] / counters[BLOCKS]) + RELATIVE_GATE_LU))


@device
def _level_at(counts: np.ndarray, first: int, place: int) -> float:
    """Return the level of the block in `place` (from 0) of the bins from `first` on: its bin's middle."""
    passed = 0
    for i in range(first, BINS):
        passed += counts[i]
        if passed > place:
            return ABSOLUTE_GATE_LUFS + (i + 0.5) / BINS_PER_LU
    return SILENCE_DB


@device
def _add_to_range(power: float, counts: np.ndarray, total: np.ndarray) -> float:
    """Add one short-term reading and return the loudness range so far, in LU.

    Source    EBU Tech 3342: gates at -70 LUFS and 20 LU below the mean power of what is above
    """
    loudness = to_lufs(power)
    if loudness > ABSOLUTE_GATE_LUFS:
        counts[min(BINS - 1, int((loudness - ABSOLUTE_GATE_LUFS) * BINS_PER_LU))] += 1
        total[0] += power
        total[1] += 1.0
    if total[1] == 0.0:
        return 0.0
    gate = to_lufs(total[0] / total[1]) + RANGE_GATE_LU
    first = max(0, int((gate - ABSOLUTE_GATE_LUFS) * BINS_PER_LU))
    last = -1
    for i in range(first, BINS):
        last += counts[i]
    low = _level_at(counts, first, int(last * RANGE_LOW + 0.5))
    return max(0.0, _level_at(counts, first, int(last * RANGE_HIGH + 0.5)) - low)


@kernel(
    "boolean(float32[:, ::1], float64[:, ::1], float64[::1], float64[:, ::1], float64[:, ::1], float64[::1], "
    "int64[::1], int64[:, ::1], float64[::1], float64[::1], float64[::1])"
)
def _meter(
    x: np.ndarray,
    coefficients: np.ndarray,
    weights: np.ndarray,
    filters: np.ndarray,
    levels: np.ndarray,
    hops: np.ndarray,
    counters: np.ndarray,
    counts: np.ndarray,
    powers: np.ndarray,
    gated: np.ndarray,
    readings: np.ndarray,
) -> bool:
    """Take one block into the meter; return whether there are new readings.

    Shapes    x (frames, channels); filters (channels, 5); levels (2, channels); hops (300,): ring of powers;
              counters (4,) and readings (6,): see the names above; counts (2, BINS): gating blocks and short-term
              readings; powers (BINS,): of the former; gated (3,): the power above -70 LUFS of the former and of the
              latter, and the number of those
    """
    levels[:] = 0.0
    hop_frames = counters[HOP_FRAMES]
    hops_before = counters[HOPS]
    first = 0
    while first < x.shape[0]:
        stop = min(x.shape[0], first + hop_frames - counters[FRAME_IN_HOP])
        for lane in range(x.shape[1]):
            weigh(x, first, stop, lane, coefficients, filters, levels)
        counters[FRAME_IN_HOP] += stop - first
        first = stop
        if counters[FRAME_IN_HOP] == hop_frames:
            counters[FRAME_IN_HOP] = 0
            at = counters[HOPS] % SHORT_TERM_HOPS
            hops[at] = take_energy(weights, filters) / hop_frames
            counters[HOPS] += 1
            momentary = mean_of_latest(hops, at, MOMENTARY_HOPS)
            readings[MOMENTARY] = to_lufs(momentary)
            short_term = mean_of_latest(hops, at, SHORT_TERM_HOPS)
            readings[SHORT_TERM] = to_lufs(short_term)
            readings[MOMENTARY_MAX] = max(readings[MOMENTARY_MAX], readings[MOMENTARY])
            readings[SHORT_TERM_MAX] = max(readings[SHORT_TERM_MAX], readings[SHORT_TERM])
            if counters[HOPS] >= MOMENTARY_HOPS and counters[HOPS] % BLOCK_STEP_HOPS == 0:
                readings[INTEGRATED] = add_block(momentary, counts[0], powers, counters, gated)
            if counters[HOPS] >= SHORT_TERM_HOPS and counters[HOPS] % BLOCK_STEP_HOPS == 0:
                readings[RANGE] = _add_to_range(short_term, counts[1], gated[1:])
    for lane in range(x.shape[1]):
        levels[MEAN_SQUARE, lane] /= max(1, x.shape[0])
    has_news: bool = counters[HOPS] != hops_before
    return has_news


def hop_frames(rate_hz: float) -> int:
    """Return the frames of one 10 ms hop, rounded where the rate is not a multiple of 100 Hz."""
    return round(rate_hz / HOPS_PER_SECOND)


def channel_weights(channels: int) -> npt.NDArray[np.float64]:
    """Return the weights of 1, 2, 5 or 6 channels; raises ValueError for others."""
    if channels not in CHANNEL_WEIGHTS:
        raise ValueError(f"channels is {channels}; it must be one of {sorted(CHANNEL_WEIGHTS)}")
    return np.array(CHANNEL_WEIGHTS[channels])


class LoudnessMeter:
    """A streaming loudness meter with bounded memory for a programme of any length.

    Gating blocks are kept as a histogram of 0.05 LU bins that hold their exact power. The integrated loudness
    is that of a meter whose relative gate lies within 0.05 LU of the exact one, and exact where no blocks lie
    that close. The loudness range is taken from short-term loudness every 100 ms in bins as wide.

    `peak` and `mean_square` hold one value per channel for the last block, not weighted. All loudness
    readings are -144 LUFS before there is anything to read.
    """

    def __init__(self, rate_hz: float, channels: int = 2) -> None:
        levels = np.zeros((2, channels))
        self.peak = levels[PEAK]
        self.mean_square = levels[MEAN_SQUARE]
        self._filters = np.zeros((channels, 5))
        self._hops = np.zeros(SHORT_TERM_HOPS)
        self._counters = np.zeros(4, np.int64)
        self._counters[HOP_FRAMES] = hop_frames(rate_hz)
        self._counts = np.zeros((2, BINS), np.int64)
        self._powers = np.zeros(BINS)
        self._gated = np.zeros(3)
        self._readings = np.full(READINGS, SILENCE_DB)
        self._readings[RANGE] = 0.0
        self._state = (
            k_weighting(rate_hz),
            channel_weights(channels),
            self._filters,
            levels,
            self._hops,
            self._counters,
            self._counts,
            self._powers,
            self._gated,
            self._readings,
        )

    def process(self, block: npt.NDArray[np.float32]) -> bool:
        """Measure one block (frames, channels); return whether it ended a hop, so that there are new readings."""
        has_news: bool = _meter(block, *self._state)
        return has_news

    @property
    def momentary_lufs(self) -> float:
        """Loudness of the last 400 ms."""
        return float(self._readings[MOMENTARY])

    @property
    def short_term_lufs(self) -> float:
        """Loudness of the last 3 s."""
        return float(self._readings[SHORT_TERM])

    @property
    def integrated_lufs(self) -> float:
        """Gated loudness since the start or `reset`."""
        return float(self._readings[INTEGRATED])

    @property
    def momentary_max_lufs(self) -> float:
        """Highest momentary loudness since the start or `reset`."""
        return float(self._readings[MOMENTARY_MAX])

    @property
    def short_term_max_lufs(self) -> float:
        """Highest short-term loudness since the start or `reset`."""
        return float(self._readings[SHORT_TERM_MAX])

    @property
    def range_lu(self) -> float:
        """Loudness range since the start or `reset`, as of the last short-term reading; 0 in the first 3 s."""
        return float(self._readings[RANGE])

    def reset(self) -> None:
        """Start a new programme: forget signal, blocks and readings."""
        for array in (self._filters, self._hops, self._counts, self._powers, self._gated):
            array[:] = 0
        self.peak[:] = 0.0
        self.mean_square[:] = 0.0
        self._counters[FRAME_IN_HOP:] = 0
        self._readings[:] = SILENCE_DB
        self._readings[RANGE] = 0.0


@dataclass(frozen=True)
class Loudness:
    """What a whole programme measures."""

    integrated_lufs: float
    momentary_max_lufs: float
    short_term_max_lufs: float
    range_lu: float


def _range_lu(short_term_lufs: npt.NDArray[np.float64]) -> float:
    """Return the spread of short-term loudness between its 10th and 95th percentile (EBU Tech 3342)."""
    gated = short_term_lufs[short_term_lufs > ABSOLUTE_GATE_LUFS]
    if not len(gated):
        return 0.0
    mean = 10.0 * np.log10(np.mean(10.0 ** (gated / 10.0)))
    gated = np.sort(gated[gated >= mean + RANGE_GATE_LU])
    last = len(gated) - 1
    return float(gated[round(last * RANGE_HIGH)] - gated[round(last * RANGE_LOW)])


def measure(samples: npt.NDArray[np.float32], rate_hz: float) -> Loudness:
    """Measure a programme `samples` (frames, channels) of 1, 2, 5 or 6 channels.

    As the standard has it, one channel alone is 3.01 LU below the same signal in two. A programme shorter
    than 400 ms has no gating block and an integrated loudness of -144 LUFS; see `dsp.clip_loudness`.
    """
    samples = np.ascontiguousarray(samples, np.float32)
    meter = LoudnessMeter(rate_hz, samples.shape[1])
    step = BLOCK_STEP_HOPS * hop_frames(rate_hz)
    short_term = []
    for first in range(0, len(samples), step):
        meter.process(samples[first : first + step])
        if first + step >= SHORT_TERM_HOPS * hop_frames(rate_hz):
            short_term.append(meter.short_term_lufs)
    return Loudness(
        meter.integrated_lufs,
        meter.momentary_max_lufs,
        meter.short_term_max_lufs,
        _range_lu(np.array(short_term)),
    )
