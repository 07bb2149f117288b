"""What a compressor does to a sound: the sound itself, its envelope, and how its level bends with a setting.

The compressor is pedalboard's: the envelope follows the magnitude, s = |x| + c (s - |x|) with one share c while |x| is
above s and another one below; above the threshold T the gain is (s / T)^(1/R - 1), hard knee, no make-up, each channel
on its own. Identification fits these few numbers to a sound before and after.
"""

import math

import numpy as np
import numpy.typing as npt

from dsp.jit import kernel

Samples = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

CANDIDATES = 8
"""Envelopes that are followed at once: one vector."""

SLOPE, THRESHOLD, RISING, FALLING = range(4)
"""Columns of what `bend_levels` writes."""

DB_PER_NEPER_POWER = 10.0 / math.log(10.0)

TINY = 1e-30
"""-600 dB of power: below anything a float32 sample can hold with company."""


def time_share(time_ms: float, rate_hz: float) -> float:
    """Return the share of its distance that the envelope keeps in a frame, as pedalboard's does.

    It is exp(-2 pi 1000 / (rate ms)), 2 pi faster than a one-pole time constant of that length. Below 1 us it is 0.
    """
    return math.exp(-2.0 * math.pi * 1000.0 / (rate_hz * time_ms)) if time_ms >= 1e-3 else 0.0


@kernel("void(float32[:, ::1], float32[:, ::1], float32, float32, float32, float32, float32[::1])")
def compress(
    x: Samples,
    y: Samples,
    rising: float,
    falling: float,
    threshold: float,
    exponent: float,
    envelope: Samples,
) -> None:
    """Write what pedalboard's compressor makes of x to y, in float32 as it does.

    Shapes    x, y (frames, channels); envelope (channels,), 0 in silence
    Units     `rising`, `falling` as of `time_share`; `threshold` amplitude, above 0; `exponent` 1/ratio - 1
    State     envelope
    In place  yes
    """
    inverse = np.float32(1.0) / threshold
    for lane in range(x.shape[1]):
        s = envelope[lane]
        for n in range(x.shape[0]):
            v = abs(x[n, lane])
            s = v + (rising if v > s else falling) * (s - v)
            gain = np.float32(1.0) if s < threshold else (s * inverse) ** exponent
            y[n, lane] = x[n, lane] * gain
        envelope[lane] = s


@kernel("void(float32[:, ::1], float32[:, ::1], float32, float32, float32, float32, float64)")
def divide_out(
    x: Samples, y: Samples, rising: float, falling: float, threshold: float, exponent: float, gain: float
) -> None:
    """Divide y by the gain the compressor has for x, times `gain`, in place: what went into a compressor that made y.

    Shapes    x, y (frames, channels), both at their own levels; the rest as in `compress`
    """
    inverse = np.float32(1.0) / threshold
    for lane in range(x.shape[1]):
        s = np.float32(0.0)
        for n in range(x.shape[0]):
            v = abs(x[n, lane])
            s = v + (rising if v > s else falling) * (s - v)
            reduction = np.float32(1.0) if s < threshold else (s * inverse) ** exponent
            y[n, lane] = y[n, lane] / (reduction * gain)


@kernel("void(float32[:, ::1], int64, float64[:, ::1])")
def block_levels(x: Samples, block: int, levels: Floats) -> None:
    """Write the mean power of every whole block, in dB, at least -300, to levels (channels, blocks)."""
    for lane in range(x.shape[1]):
        for k in range(levels.shape[1]):
            total = 0.0
            for n in range(k * block, (k + 1) * block):
                v = np.float64(x[n, lane])
                total += v * v
            levels[lane, k] = 10.0 * math.log10(total / block + TINY)


@kernel("void(float32[:, ::1], float32[::1], float32[::1], int64, float64[:, :, ::1])")
def block_envelopes(x: Samples, rising: Samples, falling: Samples, block: int, levels: Floats) -> None:
    """Write the mean of the envelope over every whole block, in dB, for eight pairs of times at once.

    Shapes    x (frames, channels); rising, falling (CANDIDATES,); levels (CANDIDATES, channels, blocks)
    """
    s = np.zeros(CANDIDATES, np.float32)
    total = np.zeros(CANDIDATES, np.float32)
    for lane in range(x.shape[1]):
        s[:] = 0.0
        for k in range(levels.shape[2]):
            total[:] = 0.0
            for n in range(k * block, (k + 1) * block):
                v = abs(x[n, lane])
                for i in range(CANDIDATES):
                    share = rising[i] if v > s[i] else falling[i]
                    s[i] = v + share * (s[i] - v)
                    total[i] += s[i]
            for i in range(CANDIDATES):
                levels[i, lane, k] = 20.0 * math.log10(np.float64(total[i]) / block + 1e-15)


@kernel(
    "void(float32[:, ::1], float64, float64, float64, float64, int64, int64, float64[:, ::1], "
    "float64[:, :, ::1], float64[:, ::1])"
)
def bend_levels(
    x: Samples,
    rising: float,
    falling: float,
    threshold: float,
    slope: float,
    block: int,
    stride: int,
    levels: Floats,
    bends: Floats,
    reductions: Floats,
) -> None:
    """Write the level of the compressed x in whole blocks, how it bends with each setting, and the reduction.

    Every `stride`-th block is judged and written; the envelope follows through all of them.

    Shapes    x (frames, channels); levels, reductions (channels, blocks); bends (channels, blocks, 4): SLOPE,
              THRESHOLD, RISING, FALLING
    Units     `threshold` ln amplitude; `slope` 1 - 1/ratio; levels in dB of mean power; bends in dB per unit of
              slope, per neper of threshold, per unit of the two shares; reductions in dB, 0 or above, mean over
              the block weighted by power
    Source    derivatives of the recursion, carried along with it
    """
    lowest = math.exp(threshold)
    for lane in range(x.shape[1]):
        s, by_rising, by_falling = 0.0, 0.0, 0.0
        for k in range(levels.shape[1]):
            before, after = TINY, TINY
            d_slope, d_threshold, d_rising, d_falling = 0.0, 0.0, 0.0, 0.0
            judged = k % stride == 0
            for n in range(k * block, (k + 1) * block):
                v = abs(np.float64(x[n, lane]))
                distance = s - v
                if v > s:
                    by_rising = distance + rising * by_rising
                    by_falling = rising * by_falling
                    s = v + rising * distance
                else:
                    by_rising = falling * by_rising
                    by_falling = distance + falling * by_falling
                    s = v + falling * distance
                if judged:
                    power = v * v
                    before += power
                    if s > lowest:
                        over = math.log(s) - threshold
                        power *= math.exp(-2.0 * slope * over)
                        d_slope -= power * over
                        d_threshold += power
                        share = power / s
                        d_rising -= share * by_rising
                        d_falling -= share * by_falling
                    after += power
            if not judged:
                continue
            scale = 2.0 * DB_PER_NEPER_POWER / after
            levels[lane, k] = 10.0 * math.log10(after / block)
            bends[lane, k, SLOPE] = scale * d_slope
            bends[lane, k, THRESHOLD] = scale * slope * d_threshold
            bends[lane, k, RISING] = scale * slope * d_rising
            bends[lane, k, FALLING] = scale * slope * d_falling
            reductions[lane, k] = 10.0 * math.log10(before / after)
