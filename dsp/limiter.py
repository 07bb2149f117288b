"""A stereo-linked look-ahead limiter that works on the true peak: the last thing before the output.

detector (true peak of both channels) -> needed gain -> minimum over the look-ahead -> release -> two box
averages -> times the delayed signal. The averages together are as long as the minimum is held, so the gain
has reached the needed value when the peak arrives and moves there without a corner.

Gains are integers in units of 2**-40 (-241 dB): running sums of integers are exact, so the gain comes back to
exactly 1 and the output does not depend on how the signal is cut into blocks.
"""

import math

import numpy as np
import numpy.typing as npt

from dsp.jit import kernel
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

FRAME, HEAD, COUNT, GAIN, SUM_A, SUM_B, AT_A, AT_B, AT_DELAY = range(9)


@kernel(
    "void(float32[:, ::1], float32[:, ::1], float64, float64, float32[:, ::1], float32[::1], "
    "float32[:, ::1], float32[:, ::1], int64[:, ::1], int64[::1], int64[::1], int64[::1], float64[::1])"
)
def _limit(
    x: np.ndarray,
    y: np.ndarray,
    ceiling: float,
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

    Shapes    x, y (frames, 2); scratch (2, 2 * CHUNK_FRAMES); delay (latency, 2);
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
    lowest = 1.0
    first = 0
    while first < x.shape[0]:
        frames = min(CHUNK_FRAMES, x.shape[0] - first)
        load_window(x, bits, first, frames, window)
        scan_window(window, taps, frames, scratch[0], scratch[1])
        for n in range(frames):
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

    No output sample ever exceeds the ceiling, whatever comes in; samples that are not finite enter as 0. The
    true peak of programme up to 20 kHz stays within 0.3 dB above it (measured: 0.2), that of white noise or
    of hard-switched tones at the edge of the band within 0.5 dB, because the detector looks at 4 points a
    frame. While the true peak stays at or below the ceiling the output equals the delayed input bit for bit;
    after a reduction this holds again once the release has run out (20 times `release_ms`). `release_ms` is a
    time constant: the reduction falls to 1/e in it.
    """

    def __init__(
        self, rate_hz: float, ceiling_db: float = -1.0, lookahead_ms: float = 1.5, release_ms: float = 80.0
    ) -> None:
        lookahead = max(1, ms_to_frames(lookahead_ms, rate_hz))
        if lookahead > MAX_LOOKAHEAD_FRAMES:
            raise ValueError(f"lookahead_ms is {lookahead_ms}; at most {MAX_LOOKAHEAD_FRAMES} frames fit")
        if not release_ms > 0.0:
            raise ValueError(f"release_ms is {release_ms}; it must be above 0")
        amplitude = db_to_amplitude(ceiling_db)
        ceiling = np.float32(amplitude)
        if float(ceiling) > amplitude:
            ceiling = np.nextafter(ceiling, np.float32(0.0))
        self.latency_frames = DELAY_FRAMES + lookahead - 1
        self._window = np.zeros(WINDOW, np.float32)
        self._delay = np.zeros((self.latency_frames, 2), np.float32)
        self._box_a = np.zeros((lookahead + 1) // 2, np.int64)
        self._box_b = np.zeros(lookahead + 1 - len(self._box_a), np.int64)
        self._state = np.zeros(9, np.int64)
        self._deepest = np.ones(1)
        self._arguments = (
            float(ceiling),
            1.0 - math.exp(-1.0 / (release_ms * 1e-3 * rate_hz)),
            phase_taps(rate_hz),
            self._window,
            np.zeros((2, 2 * CHUNK_FRAMES), np.float32),
            self._delay,
            # One frame more than the averages: a peak between two frames needs its gain at both of them.
            np.zeros((2, lookahead + 1), np.int64),
            self._box_a,
            self._box_b,
            self._state,
            self._deepest,
        )
        self.reset()

    def process(self, x: npt.NDArray[np.float32], y: npt.NDArray[np.float32]) -> None:
        """Limit one block: x and y are (frames, 2) and may be the same array."""
        _limit(x, y, *self._arguments)

    @property
    def reduction_db(self) -> float:
        """By how many dB the loudest moment of the last block was turned down; 0 when nothing was."""
        return 0.0 - amplitude_to_db(float(self._deepest[0]))

    def reset(self) -> None:
        """Forget the signal and return to unity gain."""
        self._window[:] = 0.0
        self._delay[:] = 0.0
        self._box_a[:] = UNITY
        self._box_b[:] = UNITY * len(self._box_a)
        self._state[:] = 0
        self._state[GAIN] = UNITY
        self._state[SUM_A] = UNITY * len(self._box_a)
        self._state[SUM_B] = UNITY * len(self._box_a) * len(self._box_b)
        self._deepest[0] = 1.0
