"""A setting on its way from one value to the next along half a cosine: it leaves and arrives without a corner."""

import math

from dsp.jit import device


@device
def eased(at: int, frames: int) -> float:
    """Return how far a glide of `frames` is after `at` of them: 0 to 1, before and behind them exactly 0 and 1."""
    if at <= 0:
        return 0.0
    return 1.0 if at >= frames else 0.5 - 0.5 * math.cos(math.pi * at / frames)


class Glide:
    """Where one setting is between `start` and `target`: `at` of `frames` are past, negative while it still waits.

    A straight ramp has a corner where it begins and where it ends, and so has a glide that is turned while it is under
    way: a new target has to wait until the last one is reached.
    """

    def __init__(self) -> None:
        self.start = self.target = 0.0
        self.at = self.frames = 1

    @property
    def is_moving(self) -> bool:
        """Whether the target is still ahead."""
        return self.at < self.frames

    def jump_to(self, value: float) -> None:
        """Be at `value` at once: for a start or a reset, where nothing sounds."""
        self.start = self.target = value
        self.at = self.frames

    def set_out(self, target: float, frames: int, after: int = 0) -> None:
        """Leave the value it rests at for `target`, `frames` away, in `after` frames; not while it is moving."""
        self.start, self.target, self.at, self.frames = self.target, target, -after, max(1, frames)

    def pass_by(self, frames: int) -> None:
        """Let `frames` pass."""
        self.at = min(self.frames, self.at + frames)
