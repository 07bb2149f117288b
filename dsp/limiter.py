"""A stereo-linked look-ahead limiter that works on the true peak: the last thing before the output.

detector (true peak of both channels) -> needed gain -> minimum over the look-ahead -> release -> two box
averages -> times the delayed signal. The averages together are as long as the minimum is held, so the gain
has reached the needed value when the peak arrives and moves there without a corner.

Gains are integers in units of 2**-40 (-241 dB): running sums of integers are exact, so the gain comes back to
exactly 1 and the output does not depend on how the signal is cut into blocks.

A new ceiling is moved to frame by frame, where the needed gain is found. As the gain a frame meets at the output is
at most the one found for it, every frame keeps the ceiling of the moment it was looked at.
"""

import math

import numpy as np
import numpy.typing as npt

from dsp.jit import kernel
from dsp.ramp import LaneRamp, advance
from dsp.true_peak import (
    CHUNK_FRAMES,
    DELAY_FRAMES,
    TAPS,
    WINDOW,
    keep_window,
    load_window,
    phase_taps,
    scan_window,
)
from dsp.units import amplitude_to_db, db_to_amplitude, ms_to_frames

UNITY = 1 << 40
MAX_LOOKAHEAD_FRAMES = 4096
"""UNITY times the two box lengths must stay below 2**63."""

RAMP_MS = 20.0
"""How long a change of the ceiling takes."""

FRAME, HEAD, COUNT, GAIN, SUM_A, SUM_B, AT_A, AT_B, AT_DELAY = range(9)


@kernel(
    "void(float32[:, ::1], float32[:, ::1], float32[:, ::1], float64, float32[:, ::1], float32[::1], "
    "float32[:, ::1], float32[:, ::1], int64[:, ::1], int64[::1], int64[::1], int64[::1], float64[::1])"
)
def _limit(
    x: np.ndarray,
    y: np.ndarray,
    ramp: np.ndarray,
    release: float,
    taps: np.ndarray,
    window: np.ndarray,
    scratch: np.ndarray,
    delay: np.ndarray,
    held: np.ndarray,
    box_a: np.ndarray,
    box_b: np.ndarray,
    state: np.ndarray,
    deepest: np.ndarray,
) -> None:
    """Write the limited, delayed x to y and the lowest gain of this block to `deepest`.

    The minimum is a monotone queue: its gains rise from the head on, so the head is the minimum, and a frame
    leaves when it is older than the window or when a lower one comes after it.

    Shapes    x, y (frames, 2); ramp (4, 1): that of the ceiling; scratch (2, 2 * CHUNK_FRAMES); delay (latency, 2);
              held (2, window): gain and frame;
              box_a, box_b (length,): rings of the averages; state (9,): see the names above; deepest (1,)
    In place  yes
    """
    bits = x.view(np.uint32)
    kept = 2 * (TAPS - 1)
    span = held.shape[1]
    whole = float(UNITY) * box_a.shape[0] * box_b.shape[0]
    frame, head, count, gain = state[FRAME], state[HEAD], state[COUNT], state[GAIN]
    sum_a, sum_b = state[SUM_A], state[SUM_B]
    at_a, at_b, at_delay = state[AT_A], state[AT_B], state[AT_DELAY]
    current, target, step, left = ramp[0], ramp[1], ramp[2], ramp[3]
    ceiling = np.float64(target[0])
    lowest = 1.0
    first = 0
    while first < x.shape[0]:
        frames = min(CHUNK_FRAMES, x.shape[0] - first)
        load_window(x, bits, first, frames, window)
        scan_window(window, taps, frames, scratch[0], scratch[1])
        for n in range(frames):
            if left[0] > np.float32(0.0):
                ceiling = np.float64(advance(current, target, step, left, 0))
            peak = np.float64(max(scratch[1, 2 * n], scratch[1, 2 * n + 1]))
            needed = UNITY if peak <= ceiling else int(UNITY * (ceiling / peak))

            if count > 0 and held[1, head] <= frame - span:
                head = head + 1 if head + 1 < span else 0
                count -= 1
            while count > 0:
                tail = head + count - 1
                tail = tail - span if tail >= span else tail
                if held[0, tail] < needed:
                    break
                count -= 1
            tail = head + count
            tail = tail - span if tail >= span else tail
            held[0, tail] = needed
            held[1, tail] = frame
            count += 1
            frame += 1

            rise = held[0, head] - gain
            gain = gain + rise if rise <= 0 else gain + max(1, int(rise * release))

            sum_a += gain - box_a[at_a]
            box_a[at_a] = gain
            at_a = at_a + 1 if at_a + 1 < box_a.shape[0] else 0
            sum_b += sum_a - box_b[at_b]
            box_b[at_b] = sum_a
            at_b = at_b + 1 if at_b + 1 < box_b.shape[0] else 0
            smooth = sum_b / whole
            lowest = min(lowest, smooth)

            for lane in range(2):
                # No clamp: gains are rounded down and the ceiling is a float32, so the nearest float32 of
                # a product at most the ceiling is at most the ceiling.
                y[first + n, lane] = delay[at_delay, lane] * smooth
                delay[at_delay, lane] = window[kept + 2 * n + lane]
            at_delay = at_delay + 1 if at_delay + 1 < delay.shape[0] else 0
        keep_window(window, frames)
        first += frames
    state[FRAME], state[HEAD], state[COUNT], state[GAIN] = frame, head, count, gain
    state[SUM_A], state[SUM_B] = sum_a, sum_b
    state[AT_A], state[AT_B], state[AT_DELAY] = at_a, at_b, at_delay
    deepest[0] = lowest


class Limiter:
    """Keeps a stereo signal at or below `ceiling_db`; the output is the input `latency_frames` earlier.

    No output sample ever exceeds the ceiling, whatever comes in; samples that are not finite enter as 0. While
    the ceiling moves, this is the one of a look-ahead ago. The true peak of programme up to 20 kHz stays
    within 0.3 dB above it (measured: 0.2), that of white noise or of hard-switched tones at the edge of the band
    within 0.5 dB, because the detector looks at 4 points a frame. While the true peak stays at or below the
    ceiling the output equals the delayed input bit for bit; after a reduction this holds again once the release
    has run out (20 times `release_ms`). `release_ms` is a time constant: the reduction falls to 1/e in it.
    """

    def __init__(
        self, rate_hz: float, ceiling_db: float = -1.0, lookahead_ms: float = 1.5, release_ms: float = 80.0
    ) -> None:
        lookahead = max(1, ms_to_frames(lookahead_ms, rate_hz))
        if lookahead > MAX_LOOKAHEAD_FRAMES:
            raise ValueError(f"lookahead_ms is {lookahead_ms}; at most {MAX_LOOKAHEAD_FRAMES} frames fit")
        if not release_ms > 0.0:
            raise ValueError(f"release_ms is {release_ms}; it must be above 0")
        self._ceiling = LaneRamp(1, max(1, ms_to_frames(RAMP_MS, rate_hz)))
        self._wanted = np.zeros(1, np.float32)
        self.latency_frames = DELAY_FRAMES + lookahead - 1
        self._window = np.zeros(WINDOW, np.float32)
        self._delay = np.zeros((self.latency_frames, 2), np.float32)
        # One frame more than the averages: a peak between two frames needs its gain at both of them.
        self._held = np.zeros((2, lookahead + 1), np.int64)
        self._box_a = np.zeros((lookahead + 1) // 2, np.int64)
        self._box_b = np.zeros(lookahead + 1 - len(self._box_a), np.int64)
        self._state = np.zeros(9, np.int64)
        self._deepest = np.ones(1)
        self._memory: tuple[npt.NDArray[np.generic], ...] = (
            *(self._window, self._delay, self._held, self._box_a, self._box_b),
            *(self._state, self._deepest),
        )
        self._arguments = (
            self._ceiling.table,
            1.0 - math.exp(-1.0 / (release_ms * 1e-3 * rate_hz)),
            phase_taps(rate_hz),
            self._window,
            np.zeros((2, 2 * CHUNK_FRAMES), np.float32),
            self._delay,
            self._held,
            self._box_a,
            self._box_b,
            self._state,
            self._deepest,
        )
        self.set_ceiling(ceiling_db)
        self.reset()

    def set_ceiling(self, ceiling_db: float) -> None:
        """Move to another ceiling, in dBTP, over 20 ms; `reset` then takes it at once."""
        amplitude = db_to_amplitude(ceiling_db)
        self._wanted[0] = amplitude
        if float(self._wanted[0]) > amplitude:
            np.nextafter(self._wanted, np.float32(0.0), out=self._wanted)
        self._ceiling.set_targets(self._wanted)

    def process(self, x: npt.NDArray[np.float32], y: npt.NDArray[np.float32]) -> None:
        """Limit one block: x and y are (frames, 2) and may be the same array."""
        _limit(x, y, *self._arguments)

    @property
    def reduction_db(self) -> float:
        """By how many dB the loudest moment of the last block was turned down; 0 when nothing was."""
        return 0.0 - amplitude_to_db(float(self._deepest[0]))

    def adopt(self, other: "Limiter") -> None:
        """Go on with the signal and the gain of another limiter of the same latency, from its ceiling to this one's."""
        for mine, its in zip(self._memory, other._memory, strict=True):
            np.copyto(mine, its)
        self._ceiling.resume(0, other._ceiling, 0)

    def reset(self) -> None:
        """Forget the signal, return to unity gain and be at the ceiling that is moved to."""
        self._ceiling.jump_to(self._ceiling.target)
        self._window[:] = 0.0
        self._delay[:] = 0.0
        self._box_a[:] = UNITY
        self._box_b[:] = UNITY * len(self._box_a)
        self._state[:] = 0
        self._state[GAIN] = UNITY
        self._state[SUM_A] = UNITY * len(self._box_a)
        self._state[SUM_B] = UNITY * len(self._box_a) * len(self._box_b)
        self._deepest[0] = 1.0
