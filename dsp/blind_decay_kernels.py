"""The loops of `dsp.blind_decay`: octave energies, decays and their rates, the tail that all sound leaves behind."""

import math

import numpy as np
from numpy.typing import NDArray

from dsp.jit import device, kernel

Floats = NDArray[np.float64]

FIRST, LAST, RATE, ERROR, FITTED, FLOOR, FOUND = 0, 1, 2, 3, 4, 5, 6
"""Columns of what is found: frames of a decay (the last excluded), its rate for each frame and the error of that; up to
which frame, and over which floor, it was fitted."""
LEVEL, SLOPE, MISFIT, INFORMATION = 0, 1, 2, 3
FALL, GATE, RISE, WORST = 0, 1, 2, 3

LEAST_FRAMES = 8
SKIP_DB = 3.0
LOOK_BACK = 6
"""How many frames before a new sound is noticed its decay has ended at the latest."""
TURNS = 12
CLEARLY = 2.0
"""By how much less a deviance has to be for a noise floor to be believed in."""


@kernel("void(float32[::1], float64, float64[:, :, ::1], float64[:, ::1])")
def band_energies(x: NDArray[np.float32], gain: float, sections: Floats, energies: Floats) -> None:
    """Write the mean square of each frame of each band.

    Shapes    x (frames * size); sections (bands, sections, 3): g, feedback and gain of an SVF's band-pass; energies
              (bands, frames)
    Units     amplitude, times `gain`
    Source    Zavalishin, The Art of VA Filter Design, ch. 4
    """
    bands, count = sections.shape[0], sections.shape[1]
    s1 = np.zeros((bands, count))
    s2 = np.zeros((bands, count))
    size = x.shape[0] // energies.shape[1]
    for frame in range(energies.shape[1]):
        for b in range(bands):
            total = 0.0
            for i in range(frame * size, (frame + 1) * size):
                v = gain * x[i] + 1e-20  # keeps the states from subnormals
                for s in range(count):
                    v1 = sections[b, s, 1] * (s1[b, s] + sections[b, s, 0] * (v - s2[b, s]))
                    v2 = s2[b, s] + sections[b, s, 0] * v1
                    s1[b, s] = 2.0 * v1 - s1[b, s]
                    s2[b, s] = 2.0 * v2 - s2[b, s]
                    v = v1 * sections[b, s, 2]
                total += v * v
            energies[b, frame] = total / size


@device
def _fit(energy: Floats, first: int, last: int, floor: float, fit: Floats) -> None:
    """Fit exp(LEVEL - SLOPE k) + floor to the energies of frames first to last by Fisher scoring.

    The likelihood is that of a gamma distribution of known shape. With nu degrees of freedom a frame, `fit` takes the
    deviance over nu (MISFIT), and the information on the slope over nu / 2 (INFORMATION).
    """
    n = last - first
    sum_k, sum_y, sum_kk, sum_ky = 0.0, 0.0, 0.0, 0.0
    for k in range(n):
        y = math.log(max(energy[first + k] - floor, 0.05 * energy[first + k]))
        sum_k += k
        sum_y += y
        sum_kk += k * k
        sum_ky += k * y
    slope = (n * sum_ky - sum_k * sum_y) / (n * sum_kk - sum_k * sum_k)
    level = (sum_y - slope * sum_k) / n
    slope = min(slope, -1e-4)
    for _ in range(TURNS):
        i00, i01, i11, g0, g1 = 0.0, 0.0, 0.0, 0.0, 0.0
        for k in range(n):
            tail = math.exp(level + slope * k)
            share = tail / (tail + floor)
            excess = min(energy[first + k] / (tail + floor) - 1.0, 4.0)
            g0 += share * excess
            g1 += share * excess * k
            i00 += share * share
            i01 += share * share * k
            i11 += share * share * k * k
        det = i00 * i11 - i01 * i01
        if det <= 1e-12:
            break
        d_level = min(max((i11 * g0 - i01 * g1) / det, -1.0), 1.0)
        d_slope = min(max((i00 * g1 - i01 * g0) / det, -0.2), 0.2)
        level += d_level
        slope = min(slope + d_slope, -1e-4)
        if abs(d_level) < 1e-5 and abs(d_slope) < 1e-7:
            break
    misfit, i00, i01, i11 = 0.0, 0.0, 0.0, 0.0
    for k in range(n):
        tail = math.exp(level + slope * k)
        share = tail / (tail + floor)
        ratio = max(energy[first + k], 1e-30) / (tail + floor)
        misfit += ratio - 1.0 - math.log(ratio)
        i00 += share * share
        i01 += share * share * k
        i11 += share * share * k * k
    fit[LEVEL] = level
    fit[SLOPE] = slope
    fit[MISFIT] = misfit
    fit[INFORMATION] = i11 - i01 * i01 / i00 if i00 > 1e-12 else 0.0


@kernel("int64(float64[::1], float64[::1], float64, float64, float64[::1], int64, int64, float64[:, ::1])")
def find_decays(
    energy: Floats,
    level_db: Floats,
    floor: float,
    freedom: float,
    limits: Floats,
    half: int,
    edge: int,
    found: Floats,
) -> int:
    """Return how many decays there are in a band; `found` (most, 6) takes them in order.

    A fall begins at a maximum of the smoothed level, `limits[FALL]` dB and more deep, and ends where it comes within
    `limits[GATE]` dB of the floor, or before a rise of `limits[RISE]` dB. Its decay is the longest end of it that one
    rate explains with a deviance of at most `limits[WORST]` for each degree of freedom, with or without a floor: that
    of the file, or the mean of the fall's last quarter.
    Falls into the last `edge` frames do not count.

    Shapes    energy, level_db (frames): raw, and smoothed over `half` frames on either side
    Units     energy; `freedom` degrees of freedom of a frame
    """
    frames = energy.shape[0]
    count = 0
    gate_db = 10.0 * math.log10(floor) + limits[GATE]
    fit = np.zeros(4)
    other = np.zeros(4)
    floors = np.zeros(3)
    k = 1
    while k < frames - 1 and count < found.shape[0]:
        top = level_db[k]
        if not (top >= level_db[k - 1] and top > level_db[k + 1] and top > gate_db + SKIP_DB):
            k += 1
            continue
        lowest = top
        end = k + 1
        while end < frames and gate_db < level_db[end] <= lowest + limits[RISE]:
            lowest = min(lowest, level_db[end])
            end += 1
        last = end
        if end < frames and level_db[end] > gate_db:
            last = end - 1
            for i in range(max(k + 1, end - LOOK_BACK), end):
                if level_db[i] < level_db[last]:
                    last = i
        if end < frames - edge and top - level_db[last] >= limits[FALL]:
            # What it runs out into may be louder than the floor of the file, part of which is silent.
            quarter = last - max((last - k) // 4, 1)
            floors[1] = floor
            floors[2] = max(energy[quarter:last].mean(), floor)
            first = k + half + 1
            while last - first >= LEAST_FRAMES:
                if level_db[first] <= top - SKIP_DB:
                    under = 0.0
                    for lifted in floors:
                        _fit(energy, first, last, lifted, other)
                        if lifted == 0.0 or other[MISFIT] < fit[MISFIT] - CLEARLY / freedom:
                            fit[:] = other
                            under = lifted
                    deviance = freedom * fit[MISFIT] / (last - first - 2)
                    if deviance < limits[WORST]:
                        shown = last
                        if under > 0.0:
                            above = (
                                math.log(under) + 0.1 * limits[GATE] * math.log(10.0) - fit[LEVEL]
                            ) / fit[SLOPE]
                            shown = min(last, first + max(int(above), 0))
                        if fit[INFORMATION] > 0.0 and shown - first >= LEAST_FRAMES // 2:
                            found[count, FIRST] = first
                            found[count, LAST] = shown
                            found[count, RATE] = -fit[SLOPE]
                            found[count, ERROR] = math.sqrt(2.0 / (freedom * fit[INFORMATION]))
                            found[count, FITTED] = last
                            found[count, FLOOR] = under
                            count += 1
                        break
                first += 1 if last - first < 20 else 2
        k = max(last, k + 1)
    return count


@kernel("void(float64[::1], float64, float64, float64, float64, float64[:, ::1], float64[::1])")
def tail_ratios(
    energy: Floats, rate: float, late: float, floor: float, margin: float, decays: Floats, ratios: Floats
) -> None:
    """Write ln of the energy of each of `decays` over that of the tail that all before it leaves behind.

    Unit energy leaves `late`, dying away by `rate` a frame, of which its own frame holds a share. Outside of the
    decays, what is more than `margin` times the tail is new sound.

    Shapes    energy (frames); decays (n, 6) of `find_decays`; ratios (n)
    """
    keep = math.exp(-rate)
    within = 1.0 / (1.0 + late * (1.0 - (1.0 - keep) / rate))
    gain = late * (1.0 - keep) * (1.0 - keep) / rate * within
    tail, seen, told = 0.0, 0.0, 0.0
    d = 0
    for k in range(energy.shape[0]):
        if d == decays.shape[0]:
            return
        heard = max(energy[k] - floor, 0.0)
        fresh = 0.0
        if decays[d, FIRST] <= k:
            seen += heard
            told += tail
            if k + 1 >= decays[d, LAST]:
                ratios[d] = math.log(max(seen, 1e-30) / max(told, 1e-30))
                seen, told = 0.0, 0.0
                d += 1
        elif heard > margin * tail:
            fresh = heard - tail
        tail = keep * tail + gain * fresh
