"""What the feedback delay network is set to: lengths of its lines, and filters that let each octave die in its time.

A line of N frames must take 60 N / (rate T(f)) dB, so that all of them decay alike (Jot 1992). A graphic equaliser does
it: a gain, a shelf below, seven bells an octave apart and a shelf above, fitted to that attenuation in decibels by
least squares at the octaves and half-way between them, and corrected twice for what gains in decibels do not add up to.

With x = tan(pi f / rate) / tan(pi f0 / rate), A = 10^(g / 40) and K = 10^(g / 20), g in dB:
    bell    |H|^2 = ((1 - x^2)^2 + (A x / Q)^2) / ((1 - x^2)^2 + (x / (A Q))^2)
    low     |H|^2 = (x^2 + K) / (x^2 + 1 / K)
    high    |H|^2 = (K x^2 + 1) / (x^2 / K + 1)

Sources   Jot, "An analysis/synthesis approach to real-time artificial reverberation", ICASSP 1992; Valimaki & Liski,
          "Accurate cascade graphic equalizer", 2017; Schlecht & Habets, "Accurate reverberation time control in
          feedback delay networks", DAFx 2017; Simper 2013 for the bell
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dsp.jit import device, kernel
from dsp.room_box import OCTAVES_HZ, SPEED_OF_SOUND_M_S, mean_free_path_m

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Samples = npt.NDArray[np.float32]

LINES = 16
OCTAVES = len(OCTAVES_HZ)
BELL_Q = 1.0
LOW_SHELF_HZ, HIGH_SHELF_HZ = 70.0, 14_000.0
SECTIONS = OCTAVES + 2
TOP = 0.42
"""Share of the rate above which no octave is fitted."""
HEEDED_HZ, MORE_HEED = 1500.0, 10.0
"""Below this the fit is heeded more: attenuations are small there, and a share of them counts."""
SMALL_GAINS = 1e-4
CORRECTIONS = 2
ENERGY_POINTS = 32
MOST_GAIN = 0.99999
"""What the loudest frequency of a line is let through with at most, so that no rounding lets the loop grow."""
BULGE = 0.99
"""How much lower a line is set that would let more through, for what lies between the frequencies looked at."""
SHORTEST_RT60_S, LONGEST_RT60_S = 0.02, 60.0
MOST_CONTRAST = 3.0
"""How many times as long as a neighbour an octave may last at most; where more is asked, the shorter is drawn up."""
MOST_LOSS_DB = 40.0
"""What a line takes in one passage at most."""

SIZE_STEPS = 16
SPREAD = 2.6
"""Longest over shortest line."""
MIN_LINE_FRAMES = 16

FEEDS = 8
"""How often the input enters each line, spread over the first part of the room's mean free path: it starts as a crowd
of 128 reflections and not of 16."""
FEED_SPAN = 0.7
FEED_SEED = 16

# rows of a setting, each over the lines
GAIN, LOW_G, LOW_C, HIGH_G, HIGH_C = 0, 1, 2, 3, 4
BELLS = 5
ROWS = BELLS + 3 * OCTAVES


def _is_prime(n: int) -> bool:
    return n > 1 and all(n % d for d in range(2, math.isqrt(n) + 1))


def line_lengths(size: float, rate_hz: float) -> Ints:
    """Return the lengths (16,) of the lines in frames: different primes around the room's mean free path."""
    mean = mean_free_path_m(size) / SPEED_OF_SOUND_M_S * rate_hz
    # equal ratios, each moved a little so that no two sums of them agree
    places = (np.arange(LINES) + 0.35 * np.sin(2.4 * np.arange(LINES) ** 2)) / (LINES - 1) - 0.5
    wanted = SPREAD**places
    lengths: list[int] = []
    for frames in mean * wanted / wanted.mean():
        n = max(round(frames), MIN_LINE_FRAMES)
        near = (n + sign * d for d in range(n) for sign in (1, -1))
        lengths.append(next(m for m in near if m >= MIN_LINE_FRAMES and m not in lengths and _is_prime(m)))
    return np.array(lengths, np.int64)


def feed_delays(size: float, rate_hz: float) -> Ints:
    """Return after how many frames (16, 8) the input enters each line: once in each eighth of the span."""
    span = FEED_SPAN * mean_free_path_m(size) / SPEED_OF_SOUND_M_S * rate_hz
    places = (np.arange(FEEDS) + np.random.default_rng(FEED_SEED).random((LINES, FEEDS))) / FEEDS
    return np.floor(span * places).astype(np.int64)


def feed_gains() -> Samples:
    """Return the gains (16, 8) with which it does: signs by chance, and a power of 1 in all."""
    signs = np.random.default_rng(FEED_SEED + 1).choice((-1.0, 1.0), (LINES, FEEDS))
    return (signs / math.sqrt(LINES * FEEDS)).astype(np.float32)


@device
def _power(squares: Floats, points: Floats, p: int) -> float:
    """Return |H|^2 of all sections at point `p`; squares are A^2, or K, of each."""
    low, high = squares[0], squares[1]
    x0, x1 = points[0, p], points[1, p]
    # The fractions are multiplied out: a division takes as long as all the rest of a section.
    above = (x0 + low) * low * (high * x1 + 1.0) * high
    below = (x0 * low + 1.0) * (x1 + high)
    for k in range(2, squares.shape[0]):
        x, a = points[k, p], squares[k]
        rest, width = (1.0 - x) * (1.0 - x), x * (1.0 / (BELL_Q * BELL_Q))
        above *= (rest + width * a) * a
        below *= rest * a + width
    power: float = above / below
    return power


@kernel("float64(float64[::1], float64[:, ::1], int64)")
def _level_db(squares: Floats, points: Floats, p: int) -> float:
    return 10.0 * math.log10(_power(squares, points, p))


@kernel(
    "float64(float64[::1], int64[:, ::1], float64, float64[::1], float64[:, ::1], float64[:, ::1], float64[:, ::1],"
    " float32[:, ::1], float64[:, ::1])"
)
def _design(
    rt60_s: Floats,
    delays: Ints,
    rate_hz: float,
    tangents: Floats,
    points: Floats,
    inverse: Floats,
    weights: Floats,
    rows: Samples,
    scratch: Floats,
) -> float:
    """Write the filters of all lines; return the energy of the tail for an impulse, per unit of tap power.

    The rate of decay 1 / T goes from octave to octave in equal ratios.

    Shapes    rt60_s (7,); delays (16, any), lengths of the lines first; rows (`ROWS`, 16); scratch (6, at least as wide
              as `points`)
    Units     seconds, frames
    """
    fits, wide = inverse.shape[1], points.shape[1]
    decay, error, gains = scratch[0], scratch[1], scratch[2, : points.shape[0]]
    mean_power, squares = scratch[3], scratch[4, : points.shape[0]]
    mean_power[:] = 0.0
    octaves = rt60_s.shape[0]
    times = scratch[5, :octaves]
    for o in range(octaves):
        times[o] = min(max(rt60_s[o], SHORTEST_RT60_S), LONGEST_RT60_S)
    for o in range(1, octaves):
        times[o] = max(times[o], times[o - 1] / MOST_CONTRAST)
    for o in range(octaves - 2, -1, -1):
        times[o] = max(times[o], times[o + 1] / MOST_CONTRAST)
    for p in range(fits):
        level = 0.0
        for o in range(octaves):
            level -= weights[p, o] * math.log(times[o])
        decay[p] = -60.0 * math.exp(level) / rate_hz
    for line in range(delays.shape[0]):
        gains[:] = 0.0
        squares[:] = 1.0
        flat = 0.0
        for turn in range(CORRECTIONS + 1):
            for p in range(fits):
                now = 0.0 if turn == 0 else 10.0 * math.log10(_power(squares, points, p))
                error[p] = max(decay[p] * delays[line, 0], -MOST_LOSS_DB) - flat - now
            for p in range(fits):
                flat += inverse[0, p] * error[p]
                for k in range(gains.shape[0]):
                    gains[k] += inverse[1 + k, p] * error[p]
            for k in range(gains.shape[0]):
                squares[k] = 10.0 ** (gains[k] / 20.0)
        gain = 10.0 ** (flat / 20.0)
        worst = 0.0
        for p in range(wide):
            let_through = gain * gain * _power(squares, points, p)
            worst = max(worst, let_through)
            mean_power[p] += let_through / delays.shape[0]
        if worst > MOST_GAIN * MOST_GAIN:
            gain *= BULGE * MOST_GAIN / math.sqrt(worst)
        rows[GAIN, line] = gain
        low, high = squares[0], squares[1]
        g_low, g_high = tangents[0] / math.sqrt(low), tangents[1] * math.sqrt(high)
        rows[LOW_G, line], rows[LOW_C, line] = g_low / (1.0 + g_low), low - 1.0
        rows[HIGH_G, line], rows[HIGH_C, line] = g_high / (1.0 + g_high), high - 1.0
        for o in range(octaves):
            g, a = tangents[2 + o], math.sqrt(squares[2 + o])
            width = 1.0 / (BELL_Q * a)
            f = 1.0 / (1.0 + g * (g + width))
            rows[BELLS + 3 * o, line] = 2.0 * f
            rows[BELLS + 3 * o + 1, line] = 2.0 * f * g * g
            rows[BELLS + 3 * o + 2, line] = width * (a * a - 1.0) * f * g
    energy = 0.0
    for p in range(fits, fits + ENERGY_POINTS):
        passed = min(mean_power[p], MOST_GAIN * MOST_GAIN)
        energy += passed / (1.0 - passed)
    mean: float = energy / (ENERGY_POINTS * delays.shape[0])
    return mean


@dataclass(frozen=True)
class Fit:
    """What the design needs to know of a rate: x^2 of each section at each point, and the least-squares inverse."""

    rate_hz: float
    used: int
    """Octaves that the rate has room for; the bells above stay flat."""
    tangents: Floats
    """tan(pi f0 / rate) of low shelf, high shelf and bells."""
    points: Floats
    """x^2 (sections, fit points + energy points + guard points)."""
    inverse: Floats
    """(1 + sections, fit points): the gains in dB for an attenuation in dB."""
    weights: Floats
    """(fit points, octaves): what each point's rate of decay takes of the octaves'."""

    @classmethod
    def at(cls, rate_hz: float) -> "Fit":
        """Return the fit for a rate."""
        used = sum(f <= TOP * rate_hz for f in OCTAVES_HZ)
        top_hz = OCTAVES_HZ[used - 1]
        high_hz = min(HIGH_SHELF_HZ, top_hz * HIGH_SHELF_HZ / OCTAVES_HZ[-1], 0.46 * rate_hz)
        centres = np.minimum([LOW_SHELF_HZ, high_hz, *OCTAVES_HZ], 0.48 * rate_hz)
        tangents = np.tan(np.pi * centres / rate_hz)
        half = 2.0 ** (np.arange(-1.0, 2 * used) / 2.0)
        fit_hz = OCTAVES_HZ[0] * half
        fit_hz = fit_hz[fit_hz < 0.47 * rate_hz]
        energy_hz = (np.arange(ENERGY_POINTS) + 0.5) / ENERGY_POINTS * 0.5 * rate_hz
        # Where the fit may bulge: between its points, below them, and all but at half the rate.
        guard_hz = np.array([0.0, 22.0, 31.0, 44.0, 62.0, *fit_hz[:-1] * 2.0**0.25, 0.4999 * rate_hz])
        all_hz = np.concatenate([fit_hz, energy_hz, guard_hz])
        points = (np.tan(np.pi * all_hz / rate_hz) / tangents[:, None]) ** 2
        basis = [np.ones(len(fit_hz))]
        for k in range(SECTIONS):
            squares = np.ones(SECTIONS)
            squares[k] = 10.0 ** (0.05 if k < 2 + used else 0.0)
            basis.append(np.array([_level_db(squares, points, p) for p in range(len(fit_hz))]))
        b = np.array(basis).T
        # A little is paid for large gains: shelves and bells at the ends are much alike.
        heed = np.where(fit_hz < HEEDED_HZ, MORE_HEED, 1.0)
        cost = SMALL_GAINS * np.diag([0.0] + [1.0] * SECTIONS)
        inverse = np.linalg.solve((b.T * heed) @ b + cost, b.T * heed)
        at = np.clip(np.log2(fit_hz / OCTAVES_HZ[0]), 0.0, used - 1.0)
        weights = np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(OCTAVES)))
        return cls(
            float(rate_hz),
            used,
            tangents,
            np.ascontiguousarray(points),
            np.ascontiguousarray(inverse),
            weights,
        )

    def design(self, rt60_s: Floats, delays: Ints, rows: Samples, scratch: Floats) -> float:
        """Write the filters (`ROWS`, 16) of lines of the lengths `delays[:, 0]`, for the times (7,) of the octaves.

        Returns the energy of the tail of an impulse of power 1 for taps of power 1, spread evenly over the lines:
        P / (16 (1 - P)) averaged over the frequencies, P being the power that the lines let through on average.
        """
        return _design(
            rt60_s,
            delays,
            self.rate_hz,
            self.tangents,
            self.points,
            self.inverse,
            self.weights,
            rows,
            scratch,
        )
