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
from dsp.units import SILENCE_DB, power_to_db

HOPS_PER_SECOND = 100
MOMENTARY_HOPS, SHORT_TERM_HOPS, BLOCK_STEP_HOPS = 40, 300, 10

OFFSET_LUFS = -0.691
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
RANGE_GATE_LU = -20.0
ACTIVE_RANGE_DB = 40.0
ACTIVE_HOPS_PER_SECOND = 400
"""Finer than the meters' hops: each end of a one-shot adds a hop of little energy to its active part."""

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

HOP_FRAMES, FRAME_IN_HOP, HOPS, BLOCKS = range(4)
MOMENTARY, SHORT_TERM, INTEGRATED, MOMENTARY_MAX, SHORT_TERM_MAX = range(5)
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
def _to_lufs(power: float) -> float:
    return max(SILENCE_DB, OFFSET_LUFS + 10.0 * math.log10(power)) if power > 0.0 else SILENCE_DB


@device
def _weigh(
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
def _take_energy(weights: np.ndarray, s: np.ndarray) -> float:
    """Return the channel-weighted energy gathered by `_weigh` and start from 0.

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
def _mean_of_latest(hops: np.ndarray, at: int, length: int) -> float:
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
        if i > first or (counts[i] > 0 and _to_lufs(powers[i] / counts[i]) > threshold_lufs):
            count += counts[i]
            total += powers[i]
    return total / count if count > 0 else 0.0


@device
def _add_block(
    power: float, counts: np.ndarray, powers: np.ndarray, counters: np.ndarray, gated: np.ndarray
) -> float:
    """Add one gating block of 400 ms and return the integrated loudness so far."""
    loudness = _to_lufs(power)
    if loudness > ABSOLUTE_GATE_LUFS:
        i = min(BINS - 1, int((loudness - ABSOLUTE_GATE_LUFS) * BINS_PER_LU))
        counts[i] += 1
        powers[i] += power
        counters[BLOCKS] += 1
        gated[0] += power
    if counters[BLOCKS] == 0:
        return SILENCE_DB
    return _to_lufs(_gate(counts, powers, _to_lufs(gated[0] / counters[BLOCKS]) + RELATIVE_GATE_LU))


@kernel(
    "boolean(float32[:, ::1], float64[:, ::1], float64[::1], float64[:, ::1], float64[:, ::1], float64[::1], "
    "int64[::1], int64[::1], float64[::1], float64[::1], float64[::1])"
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
              counters (4,) and readings (5,): see the names above; counts, powers (BINS,); gated (1,)
    """
    levels[:] = 0.0
    hop_frames = counters[HOP_FRAMES]
    hops_before = counters[HOPS]
    first = 0
    while first < x.shape[0]:
        stop = min(x.shape[0], first + hop_frames - counters[FRAME_IN_HOP])
        for lane in range(x.shape[1]):
            _weigh(x, first, stop, lane, coefficients, filters, levels)
        counters[FRAME_IN_HOP] += stop - first
        first = stop
        if counters[FRAME_IN_HOP] == hop_frames:
            counters[FRAME_IN_HOP] = 0
            at = counters[HOPS] % SHORT_TERM_HOPS
            hops[at] = _take_energy(weights, filters) / hop_frames
            counters[HOPS] += 1
            momentary = _mean_of_latest(hops, at, MOMENTARY_HOPS)
            readings[MOMENTARY] = _to_lufs(momentary)
            readings[SHORT_TERM] = _to_lufs(_mean_of_latest(hops, at, SHORT_TERM_HOPS))
            readings[MOMENTARY_MAX] = max(readings[MOMENTARY_MAX], readings[MOMENTARY])
            readings[SHORT_TERM_MAX] = max(readings[SHORT_TERM_MAX], readings[SHORT_TERM])
            if counters[HOPS] >= MOMENTARY_HOPS and counters[HOPS] % BLOCK_STEP_HOPS == 0:
                readings[INTEGRATED] = _add_block(momentary, counts, powers, counters, gated)
    for lane in range(x.shape[1]):
        levels[MEAN_SQUARE, lane] /= max(1, x.shape[0])
    has_news: bool = counters[HOPS] != hops_before
    return has_news


@kernel("void(float32[:, ::1], float64[:, ::1], float64[::1], float64[:, ::1], int64, float64[::1])")
def _hop_energies(
    x: np.ndarray,
    coefficients: np.ndarray,
    weights: np.ndarray,
    filters: np.ndarray,
    hop_frames: int,
    energies: np.ndarray,
) -> None:
    """Write the K-weighted energy of every hop of x (frames, channels); the last one may be short."""
    levels = np.zeros((2, x.shape[1]))
    for hop in range(energies.shape[0]):
        stop = min(x.shape[0], (hop + 1) * hop_frames)
        for lane in range(x.shape[1]):
            _weigh(x, hop * hop_frames, stop, lane, coefficients, filters, levels)
        energies[hop] = _take_energy(weights, filters)


def hop_frames(rate_hz: float) -> int:
    """Return the frames of one 10 ms hop, rounded where the rate is not a multiple of 100 Hz."""
    return round(rate_hz / HOPS_PER_SECOND)


def _lufs(power: float) -> float:
    return max(SILENCE_DB, OFFSET_LUFS + power_to_db(power))


def _weights(channels: int) -> npt.NDArray[np.float64]:
    if channels not in CHANNEL_WEIGHTS:
        raise ValueError(f"channels is {channels}; it must be one of {sorted(CHANNEL_WEIGHTS)}")
    return np.array(CHANNEL_WEIGHTS[channels])


class LoudnessMeter:
    """A streaming loudness meter with bounded memory for a programme of any length.

    Gating blocks are kept as a histogram of 0.05 LU bins that hold their exact power. The integrated loudness
    is that of a meter whose relative gate lies within 0.05 LU of the exact one, and exact where no blocks lie
    that close.

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
        self._counts = np.zeros(BINS, np.int64)
        self._powers = np.zeros(BINS)
        self._gated = np.zeros(1)
        self._readings = np.full(5, SILENCE_DB)
        self._state = (
            k_weighting(rate_hz),
            _weights(channels),
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

    def reset(self) -> None:
        """Start a new programme: forget signal, blocks and readings."""
        for array in (self._filters, self._hops, self._counts, self._powers, self._gated):
            array[:] = 0
        self.peak[:] = 0.0
        self.mean_square[:] = 0.0
        self._counters[FRAME_IN_HOP:] = 0
        self._readings[:] = SILENCE_DB


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
    return float(gated[round(last * 0.95)] - gated[round(last * 0.10)])


def measure(samples: npt.NDArray[np.float32], rate_hz: float) -> Loudness:
    """Measure a programme `samples` (frames, channels) of 1, 2, 5 or 6 channels.

    As the standard has it, one channel alone is 3.01 LU below the same signal in two. A programme shorter
    than 400 ms has no gating block and an integrated loudness of -144 LUFS; see `active_loudness`.
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


def active_loudness(samples: npt.NDArray[np.float32], rate_hz: float) -> float:
    """Return the loudness of the active part of a clip (frames, 1 or 2) of any length, in LUFS.

    Active are the 2.5 ms hops within 40 dB of the loudest. From 400 ms of them on, gating blocks are laid
    over the active hops alone and gated at -10 LU; below, it is one mean over the active hops. There is no
    absolute gate, so a clip 6 dB quieter reads 6 LU lower at any level. One channel counts as the same signal
    in both (dual mono). Silence is -144.
    """
    samples = np.ascontiguousarray(samples, np.float32)
    frames, channels = samples.shape
    if channels not in (1, 2):
        raise ValueError(f"channels is {channels}; a clip has 1 or 2")
    hop = round(rate_hz / ACTIVE_HOPS_PER_SECOND)
    energies = np.zeros(-(-frames // hop))
    weights = np.full(channels, 2.0 / channels)
    _hop_energies(samples, k_weighting(rate_hz), weights, np.zeros((channels, 5)), hop, energies)
    lengths = np.full(len(energies), float(hop))
    lengths[-1:] = frames - hop * (len(energies) - 1)
    powers = energies / lengths
    if not powers.any():
        return SILENCE_DB
    active = powers >= powers.max() * 10.0 ** (-ACTIVE_RANGE_DB / 10.0)
    energies, lengths = energies[active], lengths[active]
    width, step = round(0.4 * ACTIVE_HOPS_PER_SECOND), round(0.1 * ACTIVE_HOPS_PER_SECOND)
    if len(energies) < width:
        return _lufs(energies.sum() / lengths.sum())
    starts = np.arange(0, len(energies) - width + 1, step)
    energy = np.concatenate(([0.0], np.cumsum(energies)))
    length = np.concatenate(([0.0], np.cumsum(lengths)))
    blocks = (energy[starts + width] - energy[starts]) / (length[starts + width] - length[starts])
    loud = blocks >= blocks.mean() * 10.0 ** (RELATIVE_GATE_LU / 10.0)
    return _lufs(blocks[loud].mean())
