"""Energy of every track in 25 critical bands, smoothed as the ear smooths it."""

import math

import numpy as np
import numpy.typing as npt

from dsp.bark import BANDS, EDGES_HZ, time_constants_s, usable_bands
from dsp.jit import device, kernel
from dsp.svf import bandpass_sections, scaled_section

Samples = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NOISE_BANDWIDTH = math.pi / (2.0 * math.sqrt(2.0))
"""Noise bandwidth of an order-2 Butterworth band-pass over its -3 dB width (1.1107): dividing by it makes the
energy of noise read true; a tone at a band's centre reads 0.456 dB low."""
ENERGY_FLOOR = 1e-20
"""-200 dB: smoothed energies stop falling here, so that no logarithm or division meets 0 or a denormal."""
RING_OUT_S = 1.0
"""After this much silence the slowest band has decayed by more than 1000 dB and the filters may rest."""
DITHER = 1e-11
"""-220 dB: added to every mono sum, so that no filter state ever decays to a denormal."""
LANES = 64
"""Lanes per inner loop, a constant: it fills vectors without a remainder and keeps the states in the cache."""
CHUNK = 64
"""Frames after which the next lanes have their turn: the mono sums in between stay in the cache."""

A1, B1, A2, B2, H1, S1, H2, S2 = (row * LANES for row in range(8))
ROWS = 8

LIMIT = np.float32(1e6)  # +120 dBFS: a larger sample is a fault, and its square sums could overflow
HALF = np.float32(0.5)
ZERO = np.float32(0.0)


@device
def _mono(left: np.float32, right: np.float32) -> np.float32:
    """Return the mono sum of one frame of a track, or 0 if it is no sound."""
    mono = HALF * (left + right)
    return mono if abs(mono) <= LIMIT else ZERO


@device
def _first_heard(x: Samples, tracks: int) -> int:
    """Return the first frame in which any mono sum is not 0, or the number of frames."""
    frames: int = x.shape[0]
    for i in range(frames):
        for t in range(tracks):
            if _mono(x[i, t], x[i, tracks + t]) != ZERO:
                return i
    return frames


@device
def _tile(x: Samples, dither: Samples, tiled: Samples, peak: Samples) -> None:
    """Fill the rows of `tiled` with the mono sums of x, over and over; note the largest of each track."""
    tracks, width = peak.shape[0], tiled.shape[1]
    for i in range(x.shape[0]):
        left, right, row, noise = x[i, :tracks], x[i, tracks:], tiled[i], dither[i]
        for t in range(tracks):
            mono = _mono(left[t], right[t])
            peak[t] = max(peak[t], abs(mono))
            row[t] = mono + noise
        filled = tracks
        while filled < width:
            count = min(filled, width - filled)
            source, copy = row[:count], row[filled : filled + count]
            for lane in range(count):
                copy[lane] = source[lane]
            filled += count


@kernel(
    "void(float32[:, ::1], int64, float32[::1], float32[:, ::1], float32[:, ::1], float32[::1], float32[::1],"
    " int64[::1])"
)
def filter_bands(
    x: Samples,
    passed: int,
    dither: Samples,
    tiled: Samples,
    lanes: Samples,
    squares: Samples,
    peak: Samples,
    rest: Ints,
) -> None:
    """Filter the mono sum of each track into bands and add up the squares, sample by sample.

    Shapes    x (n, 2 T) lanes L0..LT-1 R0..RT-1, of one control period, from frame `passed` of it on; dither
              (P); tiled (CHUNK, T + LANES) scratch; lanes (blocks, 8 LANES): A B of two sections, then h s2 of
              both (`dsp.svf`); squares (blocks LANES): sum of w^2; peak (T): largest |mono sum|; rest (2): 1
              while the filters rest, control periods of silence
    Units     amplitude, full scale 1.0
    State     lanes, squares, peak, rest; zeros mean silence
    Lanes     lane b T + t is band b of track t; a block of lanes reads the mono sums from its first track on
    Mono      (L + R) / 2: a source in the middle reads as in either channel, which is what the calibration to
              sound pressure means; what is in opposite phase is lost
    Exact     any split of a period into calls gives the same bits: resting filters (all states 0) begin at
              the first frame that is not silent, and only `smooth_energies` lets them rest
    Guards    a sum that is not finite or beyond +120 dBFS counts as 0; the dither is the same in every period
    Source    section: `dsp.svf`
    """
    tracks = peak.shape[0]
    start = _first_heard(x, tracks) if rest[0] else 0
    if start == x.shape[0]:
        return
    rest[0] = 0
    for begin in range(start, x.shape[0], CHUNK):
        stop = min(begin + CHUNK, x.shape[0])
        frames = stop - begin
        _tile(x[begin:stop], dither[passed + begin : passed + stop], tiled, peak)
        for block in range(lanes.shape[0]):
            m, total = lanes[block], squares[block * LANES : (block + 1) * LANES]
            track = block * LANES % tracks
            # Two frames per turn halve the traffic of the states; the order of operations stays the same.
            for i in range(0, frames - 1, 2):
                now, then = tiled[i, track : track + LANES], tiled[i + 1, track : track + LANES]
                for lane in range(LANES):
                    a1, b1, a2, b2 = m[A1 + lane], m[B1 + lane], m[A2 + lane], m[B2 + lane]
                    h1, s1, h2, s2 = m[H1 + lane], m[S1 + lane], m[H2 + lane], m[S2 + lane]
                    v = now[lane] - s1 + a1 * h1
                    h1 = v - h1
                    s1 = s1 + b1 * v
                    w = v - s2 + a2 * h2
                    h2 = w - h2
                    s2 = s2 + b2 * w
                    square = total[lane] + w * w
                    v = then[lane] - s1 + a1 * h1
                    m[H1 + lane] = v - h1
                    m[S1 + lane] = s1 + b1 * v
                    w = v - s2 + a2 * h2
                    m[H2 + lane] = w - h2
                    m[S2 + lane] = s2 + b2 * w
                    total[lane] = square + w * w
            if frames % 2:
                now = tiled[frames - 1, track : track + LANES]
                for lane in range(LANES):
                    v = now[lane] - m[S1 + lane] + m[A1 + lane] * m[H1 + lane]
                    m[H1 + lane] = v - m[H1 + lane]
                    m[S1 + lane] = m[S1 + lane] + m[B1 + lane] * v
                    w = v - m[S2 + lane] + m[A2 + lane] * m[H2 + lane]
                    m[H2 + lane] = w - m[H2 + lane]
                    m[S2 + lane] = m[S2 + lane] + m[B2 + lane] * w
                    total[lane] = total[lane] + w * w


@kernel(
    "void(float32[:, ::1], float32[::1], float64[::1], float64[::1], int64, float32[::1], int64[::1],"
    " float64[:, ::1], float32[::1])"
)
def smooth_energies(
    lanes: Samples,
    squares: Samples,
    decay: Floats,
    weight: Floats,
    ring_out: int,
    peak: Samples,
    rest: Ints,
    energy: Floats,
    loudest: Samples,
) -> None:
    """Smooth the mean squares of one finished control period, and start the next.

    Es = a Es + (1 - a) gain^2 mean(v1^2) / 1.1107, a = exp(-P / (fs tau))

    Shapes    lanes, squares, peak, rest as in `filter_bands`; decay (25): a; weight (25): what turns the sum
              of w^2 into (1 - a) times the mean; ring_out in control periods; energy (25, T); loudest (T)
    Units     mean square, full scale 1.0
    State     all but decay and weight; energy `ENERGY_FLOOR` means silence
    Source    smoothing: ITU-R BS.1387-1
    """
    bands, tracks = energy.shape
    heard = False
    for t in range(tracks):
        heard = heard or peak[t] > ZERO
        loudest[t] = peak[t]
        peak[t] = ZERO
    for b in range(bands):
        level, total, a, share = energy[b], squares[b * tracks : (b + 1) * tracks], decay[b], weight[b]
        for t in range(tracks):
            level[t] = max(a * level[t] + share * total[t], ENERGY_FLOOR)
    squares[:] = ZERO
    rest[1] = 0 if heard else rest[1] + 1
    if rest[1] >= ring_out and not rest[0]:
        rest[0] = 1
        lanes[:, H1:] = ZERO


class BarkBank:
    """The 25 smoothed band energies of a bank of tracks; bands that do not fit the rate stay at the floor.

    Time runs in control periods: `filter` takes in a period in any number of parts, `smooth` ends it.
    """

    def __init__(self, tracks: int, rate_hz: int, period_frames: int) -> None:
        # set once
        self.tracks = tracks
        self.rate_hz = rate_hz
        self.usable = usable_bands(rate_hz)
        lane = np.arange(BANDS * tracks)
        self._place = lane // LANES, lane % LANES
        blocks = math.ceil(BANDS * tracks / LANES)
        self._lanes = np.zeros((blocks, ROWS * LANES), np.float32)
        # A = 1 and B = 0 make a lane without a band harmless: w is the sum of two samples.
        self._lanes[:, A1:B1] = self._lanes[:, A2:B2] = 1.0
        self._decay = np.exp(-period_frames / (rate_hz * time_constants_s()))
        self._weight = np.zeros(BANDS)
        for band in range(self.usable):
            first, second, gain = bandpass_sections(EDGES_HZ[band], EDGES_HZ[band + 1], rate_hz)
            block, column = (index[band * tracks : (band + 1) * tracks] for index in self._place)
            for row, (g, k) in ((A1, first), (A2, second)):
                damping, tuning, scale = scaled_section(g, k)
                self._lanes[block, row + column] = damping
                self._lanes[block, row + LANES + column] = tuning
                gain *= scale
            self._weight[band] = gain * gain / NOISE_BANDWIDTH * (1.0 - self._decay[band]) / period_frames
        # A chirp over the period: equal power at every multiple of rate / period.
        frame = np.arange(period_frames)
        self._dither = (DITHER * np.cos(np.pi * frame**2 / period_frames)).astype(np.float32)
        self._ring_out = math.ceil(RING_OUT_S * rate_hz / period_frames)
        # render thread only
        self._tiled = np.zeros((CHUNK, tracks + LANES), np.float32)
        self._squares = np.zeros(blocks * LANES, np.float32)
        self._peak = np.zeros(tracks, np.float32)
        self._rest = np.array([1, 0])
        # shared
        self.energy = np.full((BANDS, tracks), ENERGY_FLOOR)
        """float64[25, T], mean square of each track's mono sum in each band, smoothed."""
        self.peak = np.zeros(tracks, np.float32)
        """float32[T], largest absolute value of each track's mono sum in the last control period."""

    def filter(self, x: Samples, passed: int) -> None:
        """Take in float32[n, 2 T], frames `passed` to `passed` + n of the control period."""
        filter_bands(
            x, passed, self._dither, self._tiled, self._lanes, self._squares, self._peak, self._rest
        )  # fmt: skip

    def smooth(self) -> None:
        """End the control period: update `energy` and `peak`."""
        smooth_energies(
            self._lanes,
            self._squares,
            self._decay,
            self._weight,
            self._ring_out,
            self._peak,
            self._rest,
            self.energy,
            self.peak,
        )

    def reset(self) -> None:
        """Return to silence."""
        self._lanes[:, H1:] = 0.0
        self._squares.fill(0.0)
        self._peak.fill(0.0)
        self._rest[:] = 1, 0
        self.energy.fill(ENERGY_FLOOR)
        self.peak.fill(0.0)

    def adopt(self, old: "BarkBank", mapping: Ints) -> None:
        """Continue, within the control period, as old track mapping[i] in track i; -1 starts silent.

        Both banks must have the same rate and control period.
        """
        self.reset()
        kept = np.flatnonzero(mapping >= 0)
        mine = (kept + self.tracks * np.arange(BANDS)[:, None]).ravel()
        theirs = (mapping[kept] + old.tracks * np.arange(BANDS)[:, None]).ravel()
        (block, column), (old_block, old_column) = (
            [i[mine] for i in self._place],
            [i[theirs] for i in old._place],
        )
        for row in (H1, S1, H2, S2):
            self._lanes[block, row + column] = old._lanes[old_block, row + old_column]
        self._squares[mine] = old._squares[theirs]
        for new_array, old_array in ((self._peak, old._peak), (self.peak, old.peak)):
            new_array[kept] = old_array[mapping[kept]]
        self.energy[:, kept] = old.energy[:, mapping[kept]]
        self._rest[:] = old._rest
