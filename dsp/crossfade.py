"""Equal-power fades over minutes, each a pure function of the absolute frame."""

import math

import numpy as np

from dsp.jit import device, kernel


@device
def _progress(frame: int, start: int, frames: int) -> float:
    if frame < start:
        return 0.0
    return 1.0 if frame >= start + frames else (frame - start) / frames


@kernel("void(float32[:, ::1], float32[:, ::1], int64, int64, int64, int64, int64)")
def equal_power(
    x: np.ndarray,
    y: np.ndarray,
    frame: int,
    rise_start: int,
    rise_frames: int,
    fall_start: int,
    fall_frames: int,
) -> None:
    """y = x sin(r pi/2) cos(f pi/2); r and f go from 0 to 1 over the frames of the rise and of the fall.

    A fall and a rise over the same frames have powers that sum to 1. Where the gain is 1 the samples pass bit for bit.

    Shapes    x, y (frames, lanes), the first frame of which is the absolute `frame`
    Units     starts and lengths in frames, lengths at least 1
    """
    last = frame + x.shape[0] - 1
    if frame >= rise_start + rise_frames and last <= fall_start:
        y[:] = x
        return
    if last <= rise_start or frame >= fall_start + fall_frames:
        y[:] = np.float32(0.0)
        return
    for n in range(x.shape[0]):
        rise = math.sin(0.5 * math.pi * _progress(frame + n, rise_start, rise_frames))
        fall = _progress(frame + n, fall_start, fall_frames)
        gain = np.float32(rise * (math.cos(0.5 * math.pi * fall) if fall < 1.0 else 0.0))
        for lane in range(x.shape[1]):
            y[n, lane] = gain * x[n, lane]
