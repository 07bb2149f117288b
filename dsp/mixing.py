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

# Rows of the coefficient table, one column a track.
LEFT_LEFT, RIGHT_LEFT, LEFT_RIGHT, RIGHT_RIGHT, SEND = range(5)
COEFFICIENTS = 5

OFF_DB = -90.0
"""The bottom of a fader or a send: silence."""

Lanes = NDArray[np.float32]
Table = NDArray[np.float32]


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


@kernel(
    "int64(float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1],"
    " float32[:, ::1], int64, float32[:, ::1])"
)
def mix(
    x: Lanes, dry: Lanes, send: Lanes, now: Table, targets: Table, steps: Table, left: int, sums: Table
) -> int:
    """Sum the bank `x` (`[frames, 2 tracks]`) into `dry` and `send`, both `[frames, 2]`; returns `left` anew.

    The send is taken before panning, as one mono signal on both its lanes, because Freeverb sums its inputs:
    so the room's level does not follow the pan. `sums` is scratch, `[3, frames]`. A ramp with `left` frames to go
    stands at target - step * left, so it is the same however the frames are cut into quanta.
    """
    tracks, frames = now.shape[1], x.shape[0]
    ramping: int = min(left, frames)
    half, none = np.float32(0.5), np.float32(0.0)
    left_sums, right_sums, send_sums = sums[0, :frames], sums[1, :frames], sums[2, :frames]
    for n in range(frames):
        left_sums[n], right_sums[n], send_sums[n] = none, none, none
    for t in range(tracks):
        for n in range(ramping):
            to_left, to_right, to_send = panned(x, n, t, targets, steps, np.float32(left - n - 1))
            left_sums[n] += to_left
            right_sums[n] += to_right
            send_sums[n] += to_send
        ll, rl = targets[LEFT_LEFT, t], targets[RIGHT_LEFT, t]
        lr, rr = targets[LEFT_RIGHT, t], targets[RIGHT_RIGHT, t]
        out = half * targets[SEND, t]
        for n in range(ramping, frames):
            a, b = x[n, t], x[n, tracks + t]
            left_sums[n] += a * ll + b * rl
            right_sums[n] += a * lr + b * rr
            send_sums[n] += (a + b) * out
    for n in range(frames):
        dry[n, 0] = left_sums[n]
        dry[n, 1] = right_sums[n]
        send[n, 0] = send_sums[n]
        send[n, 1] = send_sums[n]
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
