"""From a bank of tracks to the dry bus and the room send: panning, sums, track peaks.

Panning laws. A mono track, which plays the same on both lanes, is panned with equal power: L = sqrt(2) cos t,
R = sqrt(2) sin t, t = (p + 1) pi / 4, so its loudness does not depend on p and the centre is unity. A stereo
track follows the Web Audio API's StereoPannerNode for stereo input (W3C Web Audio API 1.1, 1.31): what leaves one
side is folded into the other, and the centre is the identity.

Sums over tracks are formed in the order of the tracks, frame by frame side by side: the same bits whatever the width of
the processor's vectors, and a track that is silent changes nothing.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsp.jit import device, kernel
from dsp.tiles import QUAD, Four, quads, turned
from dsp.vectors import WIDTH, Vector, larger, load, magnitude, splat, store

# Rows of the coefficient table, one column a track.
LEFT_LEFT, RIGHT_LEFT, LEFT_RIGHT, RIGHT_RIGHT, SEND = range(5)
COEFFICIENTS = 5

OFF_DB = -90.0
"""The bottom of a fader or a send: silence."""

Lanes = NDArray[np.float32]
Table = NDArray[np.float32]
Sums = tuple[Vector, Vector, Vector]

HALF = np.float32(0.5)
NONE = np.float32(0.0)


@kernel("boolean(float64[::1], float64[::1], float64, float32[::1])")
def level_gains(
    level_db: NDArray[np.float64], last: NDArray[np.float64], reference_db: float, gains: NDArray[np.float32]
) -> bool:
    """Bring `gains` (`[2 tracks]`, amplitude) up to date with `level_db` (`[tracks]`); True if one moved."""
    tracks = level_db.shape[0]
    moved = False
    for t in range(tracks):
        if level_db[t] == last[t]:
            continue
        moved = True
        last[t] = level_db[t]
        gain = 10.0 ** ((level_db[t] - reference_db) / 20.0) if level_db[t] > OFF_DB else 0.0
        gains[t] = gain
        gains[tracks + t] = gain
    return moved


@kernel("boolean(float64[::1], float64[::1], boolean[::1], float64[:, ::1], float32[:, ::1])")
def mix_targets(
    panning: NDArray[np.float64],
    send_db: NDArray[np.float64],
    mono: NDArray[np.bool_],
    last: NDArray[np.float64],
    targets: Table,
) -> bool:
    """Bring `targets` (`[5, tracks]`) up to date with `panning` (-1…1) and `send_db`; True if anything moved.

    `last` (`[2, tracks]`) is what they were made from.
    """
    moved = False
    for t in range(panning.shape[0]):
        if panning[t] == last[0, t] and send_db[t] == last[1, t]:
            continue
        moved = True
        last[0, t] = panning[t]
        last[1, t] = send_db[t]
        p = panning[t]
        ll, rl, lr, rr = 1.0, 0.0, 0.0, 1.0
        if mono[t]:
            angle = (p + 1.0) * math.pi / 4.0
            ll = math.sqrt(2.0) * math.cos(angle) if p != 0.0 else 1.0
            rr = math.sqrt(2.0) * math.sin(angle) if p != 0.0 else 1.0
        elif p < 0.0:
            angle = (p + 1.0) * math.pi / 2.0
            rl = math.cos(angle)
            rr = math.sin(angle)
        elif p > 0.0:
            angle = p * math.pi / 2.0
            ll = math.cos(angle)
            lr = math.sin(angle)
        targets[LEFT_LEFT, t] = ll
        targets[RIGHT_LEFT, t] = rl
        targets[LEFT_RIGHT, t] = lr
        targets[RIGHT_RIGHT, t] = rr
        targets[SEND, t] = 10.0 ** (send_db[t] / 20.0) if send_db[t] > OFF_DB else 0.0
    return moved


@kernel("void(float32[:, ::1], float32[:, ::1], float32[:, ::1], int64)")
def start_ramp(now: Table, targets: Table, steps: Table, length: int) -> None:
    """Aim every coefficient at its target, `length` frames away."""
    for row in range(COEFFICIENTS):
        for t in range(now.shape[1]):
            steps[row, t] = (targets[row, t] - now[row, t]) / np.float32(length)


@device
def settle(now: Table, targets: Table, steps: Table, left: int) -> None:
    """Bring every coefficient to where its ramp is with `left` frames to go."""
    for row in range(COEFFICIENTS):
        for t in range(now.shape[1]):
            now[row, t] = targets[row, t] - steps[row, t] * np.float32(left)


@device
def panned(x: Lanes, n: int, t: int, targets: Table, steps: Table, left: Any) -> Any:
    """Return the track's left, right and send sample with `left` (float32) frames of its ramp to go."""
    a, b = x[n, t], x[n, targets.shape[1] + t]
    ll = targets[LEFT_LEFT, t] - steps[LEFT_LEFT, t] * left
    rl = targets[RIGHT_LEFT, t] - steps[RIGHT_LEFT, t] * left
    lr = targets[LEFT_RIGHT, t] - steps[LEFT_RIGHT, t] * left
    rr = targets[RIGHT_RIGHT, t] - steps[RIGHT_RIGHT, t] * left
    send = targets[SEND, t] - steps[SEND, t] * left
    return a * ll + b * rl, a * lr + b * rr, np.float32(0.5) * (a + b) * send


@device
def _add_steady(sums: Sums, a: Vector, b: Vector, t: int, targets: Table, halves: Lanes) -> Sums:
    """Add `WIDTH` frames of a track, a and b its lanes, to the sums of left, right and send."""
    ll, rl = splat(targets[LEFT_LEFT, t]), splat(targets[RIGHT_LEFT, t])
    lr, rr = splat(targets[LEFT_RIGHT, t]), splat(targets[RIGHT_RIGHT, t])
    out = splat(halves[t])
    return sums[0] + (a * ll + b * rl), sums[1] + (a * lr + b * rr), sums[2] + (a + b) * out


@device
def _ramped(target: np.float32, step: np.float32, to_go: Vector) -> Vector:
    return splat(target) - splat(step) * to_go


@device
def _add_ramping(
    sums: Sums, a: Vector, b: Vector, t: int, targets: Table, steps: Table, to_go: Vector
) -> Sums:
    """Do the same where the coefficients have `to_go` frames of their ramp to go."""
    ll = _ramped(targets[LEFT_LEFT, t], steps[LEFT_LEFT, t], to_go)
    rl = _ramped(targets[RIGHT_LEFT, t], steps[RIGHT_LEFT, t], to_go)
    lr = _ramped(targets[LEFT_RIGHT, t], steps[LEFT_RIGHT, t], to_go)
    rr = _ramped(targets[RIGHT_RIGHT, t], steps[RIGHT_RIGHT, t], to_go)
    out = splat(HALF) * (a + b) * _ramped(targets[SEND, t], steps[SEND, t], to_go)
    return sums[0] + (a * ll + b * rl), sums[1] + (a * lr + b * rr), sums[2] + out


@device
def _note(highest: Lanes, t: int, four: Four) -> None:
    """Raise the magnitudes noted of four lanes to those of `WIDTH` frames."""
    at = t // QUAD * WIDTH
    one = larger(magnitude(four[0]), magnitude(four[1]))
    other = larger(magnitude(four[2]), magnitude(four[3]))
    # Without the outer magnitude, which changes nothing, this becomes a masked store, which takes 40 times as long.
    store(highest, at, magnitude(larger(larger(one, other), load(highest, at))))


@device
def _column(x: Lanes, first: int, lane: int, z: Lanes, highest: Lanes, t: int) -> Vector:
    """Return a lane's `WIDTH` frames from `first` on, the last one again behind it, and note their magnitude."""
    at = t // QUAD * WIDTH + t % QUAD
    for i in range(WIDTH):
        z[i] = x[min(first + i, x.shape[0] - 1), lane]
        highest[at] = max(highest[at], abs(z[i]))
    return load(z, 0)


@device
def _sum_frames(
    x: Lanes, first: int, ramps: bool, left: int, targets: Table, steps: Table, sums: Lanes, highest: Lanes
) -> None:
    """Sum `WIDTH` frames from `first` on over all tracks, and note their magnitudes.

    If the coefficients ramp they have `left` frames to go before the first. `sums` holds the halved sends.
    """
    tracks = targets.shape[1]
    halves = sums[3]
    whole = tracks - tracks % QUAD if first + WIDTH <= x.shape[0] else 0
    for i in range(WIDTH):
        sums[0, i] = np.float32(left - i - 1)
    to_go, now = load(sums[0], 0), (splat(NONE), splat(NONE), splat(NONE))
    for t in range(0, whole, QUAD):
        a, b = quads(x, first, t), quads(x, first, tracks + t)
        _note(highest[0], t, a)
        _note(highest[1], t, b)
        a0, a1, a2, a3 = turned(a)
        b0, b1, b2, b3 = turned(b)
        if ramps:
            now = _add_ramping(now, a0, b0, t, targets, steps, to_go)
            now = _add_ramping(now, a1, b1, t + 1, targets, steps, to_go)
            now = _add_ramping(now, a2, b2, t + 2, targets, steps, to_go)
            now = _add_ramping(now, a3, b3, t + 3, targets, steps, to_go)
        else:
            now = _add_steady(now, a0, b0, t, targets, halves)
            now = _add_steady(now, a1, b1, t + 1, targets, halves)
            now = _add_steady(now, a2, b2, t + 2, targets, halves)
            now = _add_steady(now, a3, b3, t + 3, targets, halves)
    for t in range(whole, tracks):
        one = _column(x, first, t, sums[0], highest[0], t)
        other = _column(x, first, tracks + t, sums[0], highest[1], t)
        if ramps:
            now = _add_ramping(now, one, other, t, targets, steps, to_go)
        else:
            now = _add_steady(now, one, other, t, targets, halves)
    store(sums[0], 0, now[0])
    store(sums[1], 0, now[1])
    store(sums[2], 0, now[2])


@kernel(
    "int64(float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1],"
    " float32[:, ::1], int64, float32[:, ::1], float32[:, ::1], float32[:, ::1])"
)
def mix(
    x: Lanes,
    dry: Lanes,
    send: Lanes,
    now: Table,
    targets: Table,
    steps: Table,
    left: int,
    sums: Lanes,
    highest: Lanes,
    loudest: Lanes,
) -> int:
    """Sum the bank `x` (`[frames, 2 tracks]`) into `dry` and `send`, both `[frames, 2]`; returns `left` anew.

    The send is taken before panning, as one mono signal on both its lanes, because Freeverb sums its inputs:
    so the room's level does not follow the pan. A ramp with `left` frames to go stands at target - step * left, so it
    is the same however the frames are cut into quanta. `loudest` (`[1, 2 tracks]`) becomes the highest magnitude of
    every lane. `sums` (`[3, WIDTH]`) and `highest` (`[2, ⌈tracks / 4⌉ WIDTH]`) are scratch.
    """
    tracks, frames = now.shape[1], x.shape[0]
    ramping: int = min(left, frames)
    for i in range(highest.shape[1]):
        highest[0, i], highest[1, i] = NONE, NONE
    for t in range(tracks):
        sums[3, t] = HALF * targets[SEND, t]
    begin = 0
    while begin < frames:
        end = min(begin + WIDTH, ramping if begin < ramping else frames)
        # A group that would reach beyond the block begins sooner, and what it repeats is not written.
        first = max(0, min(begin, frames - WIDTH))
        _sum_frames(x, first, begin < ramping, left - first, targets, steps, sums, highest)
        for n in range(begin, end):
            dry[n, 0] = sums[0, n - first]
            dry[n, 1] = sums[1, n - first]
            send[n, 0] = sums[2, n - first]
            send[n, 1] = sums[2, n - first]
        begin = end
    for side in range(2):
        for t in range(tracks):
            most = NONE
            for i in range(t // QUAD * WIDTH + t % QUAD, (t // QUAD + 1) * WIDTH, QUAD):
                most = max(most, highest[side, i])
            loudest[0, side * tracks + t] = most
    settle(now, targets, steps, left - ramping)
    return left - ramping


@kernel("int64(float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], int64)")
def pan(x: Lanes, y: Lanes, now: Table, targets: Table, steps: Table, left: int) -> int:
    """Write each track of `x` as `mix` would sum it to `y`, both `[frames, 2 tracks]`; returns `left` anew."""
    tracks, frames = now.shape[1], x.shape[0]
    ramping: int = min(left, frames)
    for n in range(frames):
        to_go = np.float32(max(left - n - 1, 0))
        for t in range(tracks):
            to_left, to_right, _ = panned(x, n, t, targets, steps, to_go)
            y[n, t] = to_left
            y[n, tracks + t] = to_right
    settle(now, targets, steps, left - ramping)
    return left - ramping


@kernel("void(float32[:, ::1], float64[::1], float64)")
def hold_peaks(x: Lanes, peaks: NDArray[np.float64], decay: float) -> None:
    """Raise `peaks` (`[tracks]`, amplitude) to each track's peak in `x`, after letting them fall by `decay`."""
    tracks = peaks.shape[0]
    for t in range(tracks):
        peaks[t] = peaks[t] * decay if peaks[t] > 1e-9 else 0.0
    for n in range(x.shape[0]):
        for t in range(tracks):
            peaks[t] = max(peaks[t], float(max(abs(x[n, t]), abs(x[n, tracks + t]))))
