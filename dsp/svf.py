"""Designs, responses and tables of the trapezoidal state variable filter (pure functions, float64).

One step, with a = 1 / (1 + g (g + k)):
    v3 = x - s2;  v1 = a (s1 + g v3);  v2 = s2 + g v1;  s1 = 2 v1 - s1;  s2 = 2 v2 - s2
v1 is the band-pass with peak gain 1 / k: s / (s^2 + k s + 1) in the warped variable s = j tan(pi f / fs) / g.

The bells run the same section with its variables scaled, w = v1 / (a g) and h = s1 / (2 a g), which takes 6
operations instead of 10; with A = 2 a and B = 2 a g^2 (`scaled_section`):
    w = x - s2 + A h;  h = w - h;  s2 = s2 + B w

The bank, which is not listened to, runs its direct form, 2 multiply-adds that follow each other at once
(`direct_section`), and only where the poles are far enough from 1 for float32:
    w = x - x'' + c1 w' + c2 w''

Source    Zavalishin, The Art of VA Filter Design, ch. 4; Simper 2013, "Linear trapezoidal integrated SVF".
"""

import cmath
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from dsp.bark import BANDS, CENTRES_HZ, TOP_EDGE
from dsp.jit import device
from dsp.vectors import WIDTH, load, splat, store, within

Complexes = npt.NDArray[np.complex128]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Samples = npt.NDArray[np.float32]

SHAPE_DB = 6.0
"""The depth at which a bell's shape in dB is taken."""
STEPS_PER_OCTAVE = 12
REFINEMENTS = 4
CLOSE = 0.998
"""Share of the limit, in nepers, at which the search for it ends: at most 0.012 dB is given away."""
ROUNDING = 4e-6
"""More than what the scan in float32 can be wrong by, in nepers, with up to 8 bells of at most 6 dB."""
ZERO, ONE = np.float32(0.0), np.float32(1.0)


def feedback(g: float, k: float) -> float:
    """Return a = 1 / (1 + g (g + k)), the factor that solves the zero-delay loop."""
    return 1.0 / (1.0 + g * (g + k))


def scaled_section(g: float, k: float) -> tuple[float, float, float]:
    """Return (A, B, scale) of the scaled section; scale is a g, so that v1 = scale w."""
    a = feedback(g, k)
    return 2.0 * a, 2.0 * a * g * g, a * g


def direct_section(g: float, k: float) -> tuple[float, float, float]:
    """Return (c1, c2, scale) of the direct form of the section; scale is a g, so that v1 = scale w."""
    a = feedback(g, k)
    return 2.0 * a * (1.0 - g * g), -a * (1.0 - k * g + g * g), a * g


def bandpass_sections(
    low_hz: float, high_hz: float, rate_hz: float
) -> tuple[tuple[float, float], tuple[float, float], float]:
    """Return ((g, k), (g, k), gain): an order-2 Butterworth band-pass as two sections in series.

    The filter is gain * v1 of the second section, which is fed v1 of the first. It is the bilinear transform
    with both -3 dB edges prewarped: the same filter as `scipy.signal.butter(2, (low, high), "bandpass")`.
    """
    low, high = math.tan(math.pi * low_hz / rate_hz), math.tan(math.pi * high_hz / rate_hz)
    width = high - low
    half = cmath.exp(0.75j * math.pi) * width / 2.0
    spread = cmath.sqrt(half * half - low * high)
    first, second = half + spread, half - spread
    g1, g2 = abs(first), abs(second)
    return (g1, -2.0 * first.real / g1), (g2, -2.0 * second.real / g2), width * width / (g1 * g2)


def bell(centre_hz: float, q: float, rate_hz: float) -> tuple[float, float]:
    """Return (g, k) of a bell with constant poles: y = x - (1 - G) k v1 has gain G at the centre, 1 far away.

    The poles do not depend on G, so G may move at any speed. Centres are held below 0.49 of the sample rate.
    """
    return math.tan(math.pi * min(centre_hz, TOP_EDGE * rate_hz) / rate_hz), 1.0 / q


def _bandpass(g: float, k: float, frequency_hz: npt.ArrayLike, rate_hz: float) -> Complexes:
    s = 1j * np.tan(np.pi * np.asarray(frequency_hz, dtype=np.float64) / rate_hz) / g
    return np.asarray(s / (s * s + k * s + 1.0), dtype=np.complex128)


def bandpass_response(
    low_hz: float, high_hz: float, frequency_hz: npt.ArrayLike, rate_hz: float
) -> Complexes:
    """Return the complex response of `bandpass_sections` at `frequency_hz` (below half the sample rate)."""
    (g1, k1), (g2, k2), gain = bandpass_sections(low_hz, high_hz, rate_hz)
    return gain * _bandpass(g1, k1, frequency_hz, rate_hz) * _bandpass(g2, k2, frequency_hz, rate_hz)


def bell_response(
    centre_hz: float, q: float, gain: float, frequency_hz: npt.ArrayLike, rate_hz: float
) -> Complexes:
    """Return the complex response of a `bell` of amplitude `gain` at `frequency_hz`."""
    g, k = bell(centre_hz, q, rate_hz)
    return 1.0 - (1.0 - gain) * k * _bandpass(g, k, frequency_hz, rate_hz)


def cover(centre_hz: float, q: float, frequency_hz: npt.ArrayLike, rate_hz: float) -> Floats:
    """Return c, 1 at the centre, such that a bell of amplitude G keeps 1 - (1 - G^2) c of the power.

    c = 1 / (1 + (Q r)^2), r = w / g - g / w, w = tan(pi f / fs), from |G + j Q r|^2 / |1 + j Q r|^2.
    """
    g, k = bell(centre_hz, q, rate_hz)
    w = np.tan(np.pi * np.asarray(frequency_hz, dtype=np.float64) / rate_hz)
    return np.asarray(1.0 / (1.0 + ((w / g - g / w) / k) ** 2), dtype=np.float64)


def bell_covers(q: float, rate_hz: float) -> Floats:
    """Return float64[25, 25]: the `cover` of each Bark band's bell at each band's centre."""
    centres_hz = np.minimum(CENTRES_HZ, TOP_EDGE * rate_hz)
    return np.array([cover(centre_hz, q, centres_hz, rate_hz) for centre_hz in centres_hz])


def bell_shapes(q: float, rate_hz: float) -> Floats:
    """Return float64[25, 25]: the dB cut at centre c of a 6 dB bell in band b, as a share of those 6 dB."""
    u = 1.0 - 10.0 ** (-SHAPE_DB / 10.0)
    return np.asarray(np.log1p(-u * bell_covers(q, rate_hz)) / math.log1p(-u), dtype=np.float64)


def scan_covers(q: float, rate_hz: float) -> tuple[Floats, Ints]:
    """Return (covers float64[25, P], starts int64[25]): every `cover` on a grid of frequencies.

    The grid runs from the first to the last band centre with at most 1/12 octave of w between two points;
    column starts[b] is the centre of band b.
    """
    centres_hz = np.minimum(CENTRES_HZ, TOP_EDGE * rate_hz)
    w = np.tan(np.pi * centres_hz / rate_hz)
    starts = np.zeros(BANDS, np.int64)
    points = [w[0]]
    for band in range(1, BANDS):
        steps = math.ceil(math.log2(w[band] / w[band - 1]) * STEPS_PER_OCTAVE)
        points.extend(np.geomspace(w[band - 1], w[band], steps + 1)[1:])
        starts[band] = len(points) - 1
    grid_hz = np.arctan(points) * rate_hz / np.pi
    return np.array([cover(centre_hz, q, grid_hz, rate_hz) for centre_hz in centres_hz]), starts


def scan_margin(q: float, limit: float) -> float:
    """Return how much deeper, in nepers of power, a cut within `limit` can be between two points of the scan.

    With y = ln w the depth L = -sum ln(1 - u c) of bells in series, Q >= 0.71, bends by at most
    -L'' <= 8 Q^2 (e^L - 1). So between two points h apart L exceeds the larger end by at most
    Q^2 h^2 (e^L - 1).
    """
    return (q * math.log(2.0) / STEPS_PER_OCTAVE) ** 2 * math.expm1(limit)


@device
def least_kept(
    removed: Samples, bands: Ints, covers: Samples, first: Any, last: Any, scratch: Samples
) -> float:
    """Return the least share of the power, at most 1, that bells in series leave at the points `first` to `last`.

    Shapes    removed, bands (K): u and band of each bell; covers (25, a multiple of WIDTH): `cover` at every point, 0
              where there is none; scratch (WIDTH). A few points more than asked for are looked at.
    """
    one = splat(ONE)
    least = one
    for at in range(first // WIDTH * WIDTH, last, WIDTH):
        kept = one
        for k in range(removed.shape[0]):
            kept = kept * (one - splat(removed[k]) * load(covers[bands[k]], at))
        least = within(kept, least, kept, least)
    store(scratch, 0, least)
    found = scratch[0]
    for lane in range(1, WIDTH):
        found = min(found, scratch[lane])
    return float(found)


@device
def deepest_cut(
    u: Floats,
    v: Floats,
    mix: float,
    bands: Ints,
    margin: float,
    covers: Samples,
    starts: Ints,
    scratch: Samples,
) -> float:
    """Return a bound, in nepers of power, of the deepest cut by bells u + mix (v - u) at any frequency.

    The deepest point lies between the lowest and the highest bell in use, since outside every cover falls. `scratch`
    is float32[WIDTH + K].
    """
    low, high = covers.shape[0], -1
    together = 1.0
    removed = scratch[WIDTH : WIDTH + u.shape[0]]
    for k in range(u.shape[0]):
        removed[k] = ZERO
        if v[k] > 0.0:
            low, high = min(low, bands[k]), max(high, bands[k])
            one = u[k] + mix * (v[k] - u[k])
            together *= 1.0 - one
            removed[k] = np.float32(one)
    if low >= high:
        return -math.log(together)
    if together == 1.0:
        return margin + ROUNDING
    least = least_kept(removed, bands, covers, starts[low], starts[high] + 1, scratch)
    return margin + ROUNDING - math.log(least)


@device
def permitted_share(
    u: Floats,
    v: Floats,
    bands: Ints,
    limit: float,
    margin: float,
    covers: Samples,
    starts: Ints,
    scratch: Samples,
) -> float:
    """Return how far, 0..1, all bells may go from u towards v >= u with no cut deeper than `limit` nepers.

    -log(1 - u c) is convex in u, so the deepest cut is convex along the way from u to v: where the chord from
    a permitted point to the forbidden end meets the limit, the cut itself is permitted.
    """
    together = 1.0
    for k in range(u.shape[0]):
        together *= 1.0 - v[k]
    if -math.log(together) <= limit:
        return 1.0
    end = deepest_cut(u, v, 1.0, bands, margin, covers, starts, scratch)
    if end <= limit:
        return 1.0
    share = 0.0
    for _ in range(REFINEMENTS):
        here = deepest_cut(u, v, share, bands, margin, covers, starts, scratch)
        if here >= CLOSE * limit:
            return share
        share += (1.0 - share) * (limit - here) / (end - here)
    return share
