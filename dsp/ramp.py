"""Linear gain ramps, one per lane: what stands between a changed level and a click.

A ramp lasts a fixed number of frames whatever the quantum, may be turned to a new target at any frame, and
starts at the gain of the last frame. Kernels that apply gains of their own keep the same four state arrays
and call `advance` once per lane and frame.
"""

import numpy as np
import numpy.typing as npt

from dsp.guard import is_finite
from dsp.jit import device, kernel

MAX_RAMP_FRAMES = 1 << 24
"""Frames left are counted in float32, which is exact up to here (5.8 minutes at 48 kHz)."""


@device
def advance(current: np.ndarray, target: np.ndarray, step: np.ndarray, left: np.ndarray, lane: int) -> float:
    """Move `lane` on by one frame and return its gain for that frame.

    gain = target - step * left, left counting down to 0: the last frame of a ramp is the target exactly, and
    no error accumulates on the way.

    Shapes    current, target, step, left float32 (lanes,); left holds whole numbers
    """
    remaining = max(left[lane] - np.float32(1.0), np.float32(0.0))
    left[lane] = remaining
    gain: float = target[lane] - step[lane] * remaining
    current[lane] = gain
    return gain


@device
def frames_left(left: np.ndarray) -> int:
    """Return how many frames the longest running ramp still takes; 0 when all lanes are at rest."""
    longest = np.float32(0.0)
    for lane in range(left.shape[0]):
        longest = max(longest, left[lane])
    return int(longest)


@kernel("void(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], int64)")
def retarget(
    current: np.ndarray,
    target: np.ndarray,
    step: np.ndarray,
    left: np.ndarray,
    values: np.ndarray,
    ramp_frames: int,
) -> None:
    """Start a ramp of `ramp_frames` towards `values` on every lane whose target differs.

    A lane that already has this target goes on with the ramp it is in; a value that is not finite changes
    nothing.

    Shapes    all float32 (lanes,)
    """
    bits = values.view(np.uint32)
    for lane in range(values.shape[0]):
        if is_finite(bits[lane]) and values[lane] != target[lane]:
            target[lane] = values[lane]
            step[lane] = (values[lane] - current[lane]) / np.float32(ramp_frames)
            left[lane] = np.float32(ramp_frames)


@kernel("void(float32[:, ::1], float32[:, ::1], float32[:, ::1])")
def apply_gains(x: np.ndarray, y: np.ndarray, table: np.ndarray) -> None:
    """Write x times the lanes' gains to y; with no ramp running the factor is the target itself.

    Shapes    x, y (frames, lanes); table (4, lanes): current, target, step, left
    In place  yes
    """
    current, target, step, left = table[0], table[1], table[2], table[3]
    ramping = min(x.shape[0], frames_left(left))
    for n in range(ramping):
        for lane in range(x.shape[1]):
            y[n, lane] = x[n, lane] * advance(current, target, step, left, lane)
    for n in range(ramping, x.shape[0]):
        for lane in range(x.shape[1]):
            y[n, lane] = x[n, lane] * target[lane]


class LaneRamp:
    """The gains of a bank of lanes, each with a linear ramp of `ramp_frames` to its latest target.

    `table` (4, lanes) holds the four state arrays as its rows, for kernels that take them as one.
    """

    def __init__(self, lanes: int, ramp_frames: int, initial: float | npt.NDArray[np.float32] = 1.0) -> None:
        if not 1 <= ramp_frames <= MAX_RAMP_FRAMES:
            raise ValueError(f"ramp_frames is {ramp_frames}; it must be 1 to {MAX_RAMP_FRAMES}")
        self.ramp_frames = ramp_frames
        self.table = np.zeros((4, lanes), np.float32)
        self.current, self.target, self.step, self.left = self.table
        self.jump_to(initial)

    def jump_to(self, values: float | npt.NDArray[np.float32]) -> None:
        """Take `values` at once, with no ramp: for a start or a reset, where nothing sounds."""
        self.current[:] = values
        self.target[:] = values
        self.step[:] = 0.0
        self.left[:] = 0.0

    def resume(self, lane: int, other: "LaneRamp", other_lane: int) -> None:
        """Go on from the gain that a lane of another ramp has now, to this lane's own target.

        The ramp it is in goes on if the targets agree; otherwise a new one starts.
        """
        self.current[lane] = other.current[other_lane]
        if self.target[lane] == other.target[other_lane] and self.ramp_frames == other.ramp_frames:
            self.step[lane], self.left[lane] = other.step[other_lane], other.left[other_lane]
        else:
            self.step[lane] = (self.target[lane] - self.current[lane]) / np.float32(self.ramp_frames)
            self.left[lane] = self.ramp_frames

    def set_targets(self, values: npt.NDArray[np.float32]) -> None:
        """Ramp every lane to `values` (lanes,) from the gain it has now; equal targets change nothing."""
        retarget(self.current, self.target, self.step, self.left, values, self.ramp_frames)

    def apply(self, x: npt.NDArray[np.float32], y: npt.NDArray[np.float32]) -> None:
        """Write x times the gains to y, both (frames, lanes), possibly the same array."""
        apply_gains(x, y, self.table)
