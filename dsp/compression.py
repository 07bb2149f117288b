"""What makes settings glide in a compressor that can only have them jump, without looking inside it.

*Threshold.* A compressor without make-up gain or look-ahead whose envelope follows the magnitude gives
y = x g(envelope of x / threshold). One whose threshold is d dB lower gives what this one gives for an input d dB
higher, taken down by d dB again. `drive` takes it up and `blend` down, each frame by the very same gain, which so
never shows in the sound: what it moves is where the envelope stands against the threshold.

*Ratio and times* are set on a second compressor whose envelope is where that of the first one is, and `blend` fades to
it. The two are in phase: it is their amplitudes that sum to 1, not their powers. Where that is `follow` knows: the
envelope is a one-pole of the magnitude, one share of the distance kept while it rises and another while it falls.
"""

import numpy as np

from dsp.glide import eased
from dsp.jit import device, kernel

NOT_FADING = -(1 << 40)
"""A place so long before a fade that it does not begin within a block."""


@device
def _peak(block: np.ndarray) -> float:
    highest = np.float32(0.0)
    for n in range(block.shape[0]):
        for lane in range(block.shape[1]):
            value = abs(block[n, lane])
            highest = value if value > highest else highest
    return float(highest)


@device
def _gain(x: np.ndarray, y: np.ndarray) -> float:
    before = _peak(x)
    return 1.0 if before == np.float32(0.0) else _peak(y) / before


@device
def _follow(x: np.ndarray, envelope: np.ndarray, rising: float, falling: float) -> None:
    left, right = envelope[0], envelope[1]
    for n in range(x.shape[0]):
        a, b = abs(x[n, 0]), abs(x[n, 1])
        left = a + (rising if a > left else falling) * (left - a)
        right = b + (rising if b > right else falling) * (right - b)
    envelope[0], envelope[1] = left, right


@kernel("void(float32[:, ::1], float32[::1], float32, float32)")
def follow(x: np.ndarray, envelope: np.ndarray, rising: float, falling: float) -> None:
    """Bring `envelope` to where that of a compressor is after x: v + share (e - v) for the magnitude v of each frame.

    Shapes    x (frames, 2); envelope (2,), 0 in silence
    Units     `rising` and `falling`: the share of the distance that a frame leaves, 0 to 1
    """
    _follow(x, envelope, rising, falling)


@kernel("float64(float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[::1], float32, float32)")
def hand_on(
    x: np.ndarray, a: np.ndarray, y: np.ndarray, envelope: np.ndarray, rising: float, falling: float
) -> float:
    """Write a, what the compressor made of x, to y; return the peak of a over the peak of x, 1 if x is silent.

    Shapes    x, a, y (frames, 2); envelope and the rest as in `follow`, which this does, too
    """
    y[:] = a
    _follow(x, envelope, rising, falling)
    return _gain(x, y)


@kernel("void(float32[:, ::1], float32[:, ::1], float32[::1], float64, float64, int64, int64)")
def drive(
    x: np.ndarray, y: np.ndarray, gains: np.ndarray, start_db: float, target_db: float, at: int, length: int
) -> None:
    """Write x times a gain gliding in dB to y, and the gain of each frame to `gains`; 0 dB is exactly 1.

    Shapes    x, y (frames, lanes); gains (frames,)
    Units     of the glide's `length` frames, `at` are past before the first frame
    """
    rest = np.float32(10.0 ** (target_db / 20.0))
    for n in range(x.shape[0]):
        gain = rest
        if at + n + 1 < length:
            gain = np.float32(
                10.0 ** ((start_db + (target_db - start_db) * eased(at + n + 1, length)) / 20.0)
            )
        gains[n] = gain
        for lane in range(x.shape[1]):
            y[n, lane] = x[n, lane] * gain


@kernel(
    "float64(float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[::1], float32[:, ::1], int64, int64)"
)
def blend(
    x: np.ndarray, a: np.ndarray, b: np.ndarray, gains: np.ndarray, y: np.ndarray, at: int, length: int
) -> float:
    """Write a, fading to b, over `gains` to y; return the peak of y over the peak of x, 1 if x is silent.

    Shapes    x, a, b, y (frames, lanes); gains (frames,)
    Units     of the fade's `length` frames, `at` are past before the first frame, negative before it begins
    """
    for n in range(x.shape[0]):
        weight = np.float32(eased(at + n + 1, length))
        for lane in range(x.shape[1]):
            value = a[n, lane]
            if weight == np.float32(1.0):
                value = b[n, lane]
            elif weight > np.float32(0.0):
                value += weight * (b[n, lane] - value)
            y[n, lane] = value / gains[n]
    return _gain(x, y)
