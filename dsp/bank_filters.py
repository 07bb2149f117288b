"""The audio side of the Bark bank: mono sums, the low bands' own rate, band-passes and the sums of their squares."""

import numpy as np
import numpy.typing as npt

from dsp.bank_design import TAPS_PER_PHASE
from dsp.bark import BANDS
from dsp.jit import device, kernel
from dsp.vectors import WIDTH, Vector, fma, larger, load, magnitude, reread, splat, store, where, within

Samples = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
State = tuple[Vector, Vector, Vector, Vector, Vector]

CHUNK = 128
"""Frames after which the next tracks have their turn: the mono sums in between stay in the cache."""
STRIP = 4
"""Frames of the mono sum that are formed together, so that what is kept of each track is read and written less."""
PAST = 2
"""Rows of the past that a band-pass looks back on."""

W1, W2, V1, V2, SUM = range(5)
ROWS = 5
SPARE_BANDS = 3
"""Behind the bands of a block there is room, as for so many more, for what else it keeps: the rows below."""
TAP_ROWS = BANDS * ROWS
PAST_ROWS = TAP_ROWS + TAPS_PER_PHASE
LOW_PAST_ROWS = PAST_ROWS + PAST
VERDICT = LOW_PAST_ROWS + PAST
BLOCK = (BANDS + SPARE_BANDS) * ROWS * WIDTH
"""Cells of a block: `WIDTH` slots with all that is kept of the tracks in them."""

LIMIT = np.float32(1e6)  # +120 dBFS: a larger sample is a fault, and its square sums could overflow
HALF = np.float32(0.5)
ONE = np.float32(1.0)
ZERO = np.float32(0.0)


@device
def _mix(x: Samples, dither: Samples, heard: Samples, peak: Samples, mono: Samples) -> None:
    """Write the mono sums of x, with dither from each track's first sound on, and note the largest."""
    tracks, frames = peak.shape[0], x.shape[0]
    whole = tracks // WIDTH
    half, one, nothing, limit = splat(HALF), splat(ONE), splat(ZERO), splat(LIMIT)
    for first in range(0, frames, STRIP):
        last = min(first + STRIP, frames)
        for group in range(whole):
            at, sums = group * WIDTH, mono[np.uint64(group)]
            sounds, loudest = load(heard, at), load(peak, at)
            for i in range(first, last):
                source = x[np.uint64(i)]
                sample = half * (load(source, at) + load(source, tracks + at))
                sample = within(magnitude(sample), limit, sample, nothing)
                sounds = where(sample, one, sounds)
                loudest = larger(loudest, magnitude(sample))
                store(sums[np.uint64(PAST + i)], 0, fma(sounds, splat(dither[np.uint64(i)]), sample))
            store(heard, at, sounds)
            store(peak, at, loudest)
    for t in range(whole * WIDTH, tracks):
        left, right, lane = np.uint64(t), np.uint64(tracks + t), np.uint64(t - whole * WIDTH)
        sound, most, sums = heard[left], peak[left], mono[np.uint64(whole)]
        for i in range(frames):
            source = x[np.uint64(i)]
            alone = HALF * (source[left] + source[right])
            alone = alone if abs(alone) <= LIMIT else ZERO
            sound = sound if alone == ZERO else ONE
            most = max(most, abs(alone))
            sums[np.uint64(PAST + i), lane] = alone + sound * dither[np.uint64(i)]
        heard[left], peak[left] = sound, most


@device
def _wake(heard: Samples, slot: Ints, track: Ints, awake: Ints) -> None:
    """Give a slot to every track that is heard and has none."""
    count = awake[0]
    for t in range(slot.shape[0]):
        if heard[t] > ZERO and slot[t] < 0:
            slot[t] = count
            track[count] = t
            count += 1
    if count > awake[0]:
        awake[0], awake[1] = count, 1


@device
def is_run(members: Ints, count: int) -> bool:
    """Whether these tracks stand side by side."""
    run = True
    for lane in range(count):
        run = run and members[lane] == members[0] + lane
    return run


@device
def _is_group(members: Ints, count: int, heard: Samples) -> bool:
    """Whether these tracks are a group of `mono`, with nothing but silence behind them if they fill no vector."""
    first = members[0]
    whole = first % WIDTH == 0 and is_run(members, count)
    for t in range(first + count, min(first + WIDTH, heard.shape[0])):
        whole = whole and heard[t] == ZERO
    return whole


@device
def _pack(mono: Samples, frames: int, members: Ints, count: int, packed: Samples) -> None:
    """Copy the mono sums of `count` tracks side by side, and silence behind them."""
    for i in range(PAST, PAST + frames):
        row = packed[i]
        for lane in range(WIDTH):
            row[lane] = ZERO
    for lane in range(count):
        group, place = members[lane] // WIDTH, members[lane] % WIDTH
        for i in range(PAST, PAST + frames):
            packed[i, lane] = mono[group, i, place]


@device
def _state(m: Samples) -> State:
    return load(m, 0), load(m, WIDTH), load(m, 2 * WIDTH), load(m, 3 * WIDTH), load(m, 4 * WIDTH)


@device
def _keep(m: Samples, state: State) -> None:
    store(m, 0, state[0])
    store(m, WIDTH, state[1])
    store(m, 2 * WIDTH, state[2])
    store(m, 3 * WIDTH, state[3])
    store(m, 4 * WIDTH, state[4])


@device
def _step(difference: Vector, coefs: Samples, state: State) -> State:
    """Run one band of a block for one frame."""
    w1, w2, v1, v2, total = state
    w = fma(load(coefs, 0), w1, fma(load(coefs, WIDTH), w2, difference))
    v = fma(load(coefs, 2 * WIDTH), v1, fma(load(coefs, 3 * WIDTH), v2, w - w2))
    return w, w1, v, v1, fma(v, v, total)


@device
def _filter(z: Samples, rows: int, first: int, last: int, coefs: Samples, bands: Samples) -> None:
    """Run the bands `first` to `last` over `rows` rows of z, which begin behind `PAST` rows that are past.

    Two bands at once: their states fill 16 registers, and one band's additions run while the other's wait.
    """
    for band in range(first, last - 1, 2):
        one, other = _state(bands[band]), _state(bands[band + 1])
        for i in range(rows):
            reread()  # the coefficients, which would not fit beside the states, and be spilled to the stack
            difference = load(z[np.uint64(i + PAST)], 0) - load(z[np.uint64(i)], 0)
            one = _step(difference, coefs[np.uint64(band)], one)
            other = _step(difference, coefs[np.uint64(band + 1)], other)
        _keep(bands[band], one)
        _keep(bands[band + 1], other)
    if (last - first) % 2 == 1:
        alone = _state(bands[last - 1])
        for i in range(rows):
            reread()
            difference = load(z[np.uint64(i + PAST)], 0) - load(z[np.uint64(i)], 0)
            alone = _step(difference, coefs[np.uint64(last - 1)], alone)
        _keep(bands[last - 1], alone)


@device
def _lower(z: Samples, rows: int, phase: int, taps: Samples, m: Samples, low: Samples) -> int:
    """Write behind the past of `low` what passes the low-pass, one row for D rows of z; return how many.

    `phase` rows of the first D are past. Each sample is added at once to the `TAPS_PER_PHASE` results it is part of.
    """
    factor = taps.shape[0] // TAPS_PER_PHASE
    at = TAP_ROWS * WIDTH
    y0, y1, y2, y3 = load(m, at), load(m, at + WIDTH), load(m, at + 2 * WIDTH), load(m, at + 3 * WIDTH)
    y4, y5, y6, y7 = (
        load(m, at + 4 * WIDTH),
        load(m, at + 5 * WIDTH),
        load(m, at + 6 * WIDTH),
        load(m, at + 7 * WIDTH),
    )
    count = i = 0
    while i < rows:
        turn = min(factor - phase, rows - i)
        for n in range(turn):
            reread()
            x, row = load(z[np.uint64(PAST + i + n)], 0), np.uint64((phase + n) * TAPS_PER_PHASE)
            y0 = fma(load(taps[row], 0), x, y0)
            y1 = fma(load(taps[row + np.uint64(1)], 0), x, y1)
            y2 = fma(load(taps[row + np.uint64(2)], 0), x, y2)
            y3 = fma(load(taps[row + np.uint64(3)], 0), x, y3)
            y4 = fma(load(taps[row + np.uint64(4)], 0), x, y4)
            y5 = fma(load(taps[row + np.uint64(5)], 0), x, y5)
            y6 = fma(load(taps[row + np.uint64(6)], 0), x, y6)
            y7 = fma(load(taps[row + np.uint64(7)], 0), x, y7)
        i, phase = i + turn, phase + turn
        if phase == factor:
            store(low[PAST + count], 0, y0)
            y0, y1, y2, y3, y4, y5, y6, y7 = y1, y2, y3, y4, y5, y6, y7, splat(ZERO)
            count, phase = count + 1, 0
    store(m, at, y0)
    store(m, at + WIDTH, y1)
    store(m, at + 2 * WIDTH, y2)
    store(m, at + 3 * WIDTH, y3)
    store(m, at + 4 * WIDTH, y4)
    store(m, at + 5 * WIDTH, y5)
    store(m, at + 6 * WIDTH, y6)
    store(m, at + 7 * WIDTH, y7)
    return count


@device
def _recall(m: Samples, row: int, z: Samples) -> None:
    """Put the rows that are past in front of those of z."""
    store(z[0], 0, load(m, row * WIDTH))
    store(z[1], 0, load(m, (row + 1) * WIDTH))


@device
def _remember(z: Samples, rows: int, m: Samples, row: int) -> None:
    """Keep the last rows of z."""
    store(m, row * WIDTH, load(z[rows], 0))
    store(m, (row + 1) * WIDTH, load(z[rows + 1], 0))


@kernel(
    "void(float32[:, ::1], int64, int64, int64, float32[::1], float32[:, ::1], float32[:, ::1], float32[:, ::1],"
    " float32[::1], float32[::1], int64[::1], int64[::1], int64[::1], float32[:, :, ::1], float32[:, ::1],"
    " float32[:, ::1])"
)
def filter_bands(
    x: Samples,
    passed: int,
    low_bands: int,
    bands: int,
    dither: Samples,
    taps: Samples,
    coefs: Samples,
    lanes: Samples,
    heard: Samples,
    peak: Samples,
    slot: Ints,
    track: Ints,
    awake: Ints,
    mono: Samples,
    packed: Samples,
    low: Samples,
) -> None:
    """Filter the mono sum of each track into bands and add up the squares, sample by sample.

    w = x - x'' + c1 w' + c2 w'', twice in series; the first `low_bands` of the `bands` in use at rate / D, behind a
    low-pass

    Shapes    x (n, 2 T) lanes L0..LT-1 R0..RT-1, of one control period, from frame `passed` of it on; dither (P), P
              a multiple of D; taps (8 D, WIDTH): tap p + D j of the low-pass in row 8 (D - 1 - p) + j; coefs
              (25, 4 WIDTH): c1 c2 of two sections (`dsp.svf`); both in all lanes of a vector; lanes (blocks, `BLOCK`),
              of WIDTH slots each: per band w' w'' of both sections and the sum of w^2, then the low-pass' results
              under way and the past of both rates; heard (T): 1 from a track's first sound on, 0 while it rests;
              peak (T): largest |mono sum|; slot (T) or -1 while a track rests; track (T) in each slot; awake (2):
              slots in use, and whether that changed; mono (ceil(T / WIDTH), PAST + CHUNK, WIDTH), 0 behind the last
              track, packed and low (PAST + CHUNK, WIDTH) scratch
    Units     amplitude, full scale 1.0
    State     lanes, heard, peak, slot, track, awake; slots that are not in use hold zeros
    Mono      (L + R) / 2: a source in the middle reads as in either channel, which is what the calibration to
              sound pressure means; what is in opposite phase is lost
    Exact     any split of a period into calls, and any company, gives a track the same bits: it wakes with all
              states 0, which its silence until then has left at 0, and only `smooth_energies` lets it rest
    Guards    a sum that is not finite or beyond +120 dBFS counts as 0; the dither is the same in every period
    Source    section: `dsp.svf`; low-pass and its rate: `dsp.bank_design`
    """
    factor = taps.shape[0] // TAPS_PER_PHASE
    for begin in range(0, x.shape[0], CHUNK):
        frames = min(CHUNK, x.shape[0] - begin)
        _mix(x[begin : begin + frames], dither[passed + begin :], heard, peak, mono)
        _wake(heard, slot, track, awake)
        for block in range((awake[0] + WIDTH - 1) // WIDTH):
            members, count = track[block * WIDTH :], min(WIDTH, awake[0] - block * WIDTH)
            m = lanes[block]
            of_bands = m[: TAP_ROWS * WIDTH].reshape(BANDS, ROWS * WIDTH)
            z = mono[members[0] // WIDTH]
            if not _is_group(members, count, heard):
                _pack(mono, frames, members, count, packed)
                z = packed
            _recall(m, PAST_ROWS, z)
            _filter(z, frames, low_bands, bands, coefs, of_bands)
            if low_bands > 0:
                _recall(m, LOW_PAST_ROWS, low)
                rows = _lower(z, frames, (passed + begin) % factor, taps, m, low)
                _filter(low, rows, 0, low_bands, coefs, of_bands)
                _remember(low, rows, m, LOW_PAST_ROWS)
            _remember(z, frames, m, PAST_ROWS)
