"""The PortAudio callback: compiled code that drains the ring into the device, without interpreter or lock.

On a short ring it plays what is there and lets the last sample decay; when data is back it fades in over what is
left of that, so no step reaches the speakers either way. Every field it touches is laid out here, in the file that
defines it, because numba's cache watches this file alone: the numbers below are frozen into the machine code.
"""

import ctypes
import functools
import math
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from dsp.clock import clock_address, monotonic_ns
from dsp.jit import kernel
from dsp.memory import fence, pointer
from engine.inputs import InputRing

RING_FRAMES = 2**17
"""Frames the ring holds, a power of two: 2.7 s at 48 kHz, so that recorders may lag behind."""

# Counters of the session, int64; `WRITTEN`, `STATE` and `HEARTBEAT` are the DSP loop's, `MESSAGES` the messenger's, the
# others the callback's.
(
    WRITTEN,
    READ,
    UNDERRUNS,
    UNDERRUN_FRAMES,
    CALLBACKS,
    DEVICE_UNDERFLOWS,
    RING_MINIMUM,
    DEVICE_FRAMES,
    STATE,
    HEARTBEAT,
    MESSAGES,
) = range(11)
COUNTERS = 16

UNDERRUN_LOG = 256
UNDERRUN_COLUMNS = 3
"""Under-runs that are remembered, the nth in row n modulo `UNDERRUN_LOG`: (frame at which the ring ran dry, frames
missing, microseconds from the callback before to the one that ran short, -1 where unknown)."""

# The intervals between the device's buffers by the machine's clock, int64 `[INTERVAL_WORDS]`, the callback's alone:
# `INTERVALS` were counted, in which it took `INTERVAL_FRAMES`; `PIECES` are calls that continue a buffer.
BIN_NS, LAST_NS, INTERVALS, INTERVAL_FRAMES, LONGEST_NS, PIECES = range(6)
FIRST_BIN = 8
INTERVAL_BINS = 2048
BINS_A_BUFFER = 256
"""How fine the histogram is: this many bins of `BIN_NS` for the length of the first buffer. One more holds the rest."""

INTERVAL_WORDS = FIRST_BIN + INTERVAL_BINS + 1

INPUT_FRAMES = 2**14
INPUT_CHANNELS = 8
"""The shape of an `engine.inputs.InputRing`."""

INPUT_LIMIT_AMPLITUDE = 10.0 ** (24.0 / 20.0)
"""+24 dBFS: nothing louder comes in."""

IDLE, PLAYING, DRAINING = range(3)
"""Values of `STATE`. A ring that runs dry while it drains after the end is no under-run."""

# What the callback is given: int64 `[WORDS]`, written before the stream opens, `MUTED` also later.
(
    RING_ADDRESS,
    COUNTERS_ADDRESS,
    VOICE_ADDRESS,
    LOG_ADDRESS,
    INPUT_ADDRESS,
    INPUT_COUNTERS_ADDRESS,
    CHANNELS,
    CHANNELS_IN,
    MUTED,
    INTERVALS_ADDRESS,
    CLOCK_ADDRESS,
    RATE_HZ,
) = range(12)
WORDS = 12

# What the callback keeps between calls: float64 `[VOICE]`.
(
    GAIN,
    GAIN_STEP,
    USUAL_STEP,
    DECAY,
    LAST_LEFT,
    LAST_RIGHT,
    REST_LEFT,
    REST_RIGHT,
    SHORT,
    BURST,
    BURST_TIME,
    LARGEST,
    LARGEST_BEFORE,
    WINDOW_FRAMES,
) = range(14)
VOICE = 14

FORGET_S = 5.0
"""What a device took at once, because it was late, counts for so long, and up to twice that; then it is forgotten."""

FADE_IN_MS = 5.0
"""How fast the sound comes back after an under-run."""

DECAY_MS = 1.0
"""Time constant in which the last sample dies away on a short ring."""

SILENCE_AMPLITUDE = 1e-6
"""-120 dBFS: below it a decaying sample is silence."""

OUTPUT_UNDERFLOW = 4
"""`paOutputUnderflow`, a flag of PortAudio."""

CURRENT_TIME = 1
"""Place of `currentTime` in `PaStreamCallbackTimeInfo`, three doubles."""

# PaStreamCallback; its `unsigned long` has 32 bits on Windows.
_ULONG = f"uint{8 * ctypes.sizeof(ctypes.c_ulong)}"
SIGNATURE = f"int32(voidptr, CPointer(float32), {_ULONG}, CPointer(float64), {_ULONG}, CPointer(int64))"


class CallbackState:
    """The memory of one stream's callback; must live longer than the stream.

    The first `fade_in_ms` fade in, as they must where the sound is already under way. `channels_in` of the device's
    input, at most `INPUT_CHANNELS`, go to `inputs`. `clock` is the address of the `clock_gettime` that tells when the
    device asks, 0 for none; `intervals`, `INTERVAL_WORDS` zeros, is where that is counted.
    """

    def __init__(
        self,
        ring: NDArray[np.float32],
        counters: NDArray[np.int64],
        log: NDArray[np.int64],
        rate_hz: int,
        channels: int,
        *,
        fade_in_ms: float = 0.0,
        inputs: InputRing | None = None,
        channels_in: int = 0,
        intervals: NDArray[np.int64] | None = None,
        clock: int | None = None,
    ) -> None:
        inputs = InputRing() if inputs is None else inputs
        intervals = np.zeros(INTERVAL_WORDS, np.int64) if intervals is None else intervals
        self._kept = (ring, counters, log, inputs, intervals)
        self.voice = np.zeros(VOICE)
        self.voice[GAIN] = 0.0 if fade_in_ms > 0.0 else 1.0
        self.voice[USUAL_STEP] = 1e3 / (FADE_IN_MS * rate_hz)
        self.voice[GAIN_STEP] = 1e3 / ((fade_in_ms or FADE_IN_MS) * rate_hz)
        self.voice[DECAY] = math.exp(-1e3 / (DECAY_MS * rate_hz))
        self.voice[BURST_TIME] = -1.0
        self.words = np.zeros(WORDS, np.int64)
        self.words[RING_ADDRESS] = ring.ctypes.data
        self.words[COUNTERS_ADDRESS] = counters.ctypes.data
        self.words[VOICE_ADDRESS] = self.voice.ctypes.data
        self.words[LOG_ADDRESS] = log.ctypes.data
        self.words[INPUT_ADDRESS] = inputs.samples.ctypes.data
        self.words[INPUT_COUNTERS_ADDRESS] = inputs.counters.ctypes.data
        self.words[CHANNELS] = channels
        self.words[CHANNELS_IN] = channels_in
        self.words[INTERVALS_ADDRESS] = intervals.ctypes.data
        self.words[CLOCK_ADDRESS] = clock_address() if clock is None else clock
        self.words[RATE_HZ] = rate_hz

    @property
    def address(self) -> int:
        """What the callback is given as user data."""
        return int(self.words.ctypes.data)

    def mute(self) -> None:
        """Have the callback give silence and touch nothing from now on."""
        self.words[MUTED] = 1


@intrinsic  # type: ignore[untyped-decorator]
def _address(typing_context: Any, data: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ptrtoint(args[0], ir.IntType(64))

    return types.int64(data), generate


@kernel("void()")
def order_memory() -> None:
    """Have everything before this call read and written before everything after it, for callers in Python."""
    fence()


def _fill(source: Any, output: Any, frame_count: Any, time_info: Any, flags: Any, data: Any) -> int:
    frames = np.int64(frame_count)
    words = numba.carray(data, (WORDS,))
    channels = words[CHANNELS]
    out = numba.carray(output, (frames, channels))
    if words[MUTED] != 0:
        for n in range(frames):
            for channel in range(channels):
                out[n, channel] = np.float32(0.0)
        return 0
    now_ns = monotonic_ns(words[CLOCK_ADDRESS]) if words[CLOCK_ADDRESS] != 0 else np.int64(-1)
    ring = numba.carray(pointer(words[RING_ADDRESS]), (RING_FRAMES, 2), np.float32)
    counters = numba.carray(pointer(words[COUNTERS_ADDRESS]), (COUNTERS,), np.int64)
    voice = numba.carray(pointer(words[VOICE_ADDRESS]), (VOICE,), np.float64)
    log = numba.carray(pointer(words[LOG_ADDRESS]), (UNDERRUN_LOG, UNDERRUN_COLUMNS), np.int64)
    intervals = numba.carray(pointer(words[INTERVALS_ADDRESS]), (INTERVAL_WORDS,), np.int64)

    channels_in = words[CHANNELS_IN]
    if channels_in > 0:
        samples = numba.carray(pointer(words[INPUT_ADDRESS]), (INPUT_FRAMES, INPUT_CHANNELS), np.float32)
        input_counters = numba.carray(pointer(words[INPUT_COUNTERS_ADDRESS]), (2,), np.int64)
        came = numba.carray(source, (frames, channels_in), np.float32)
        there = _address(source) != 0
        written = input_counters[0]
        for n in range(frames):
            place = (written + n) & (INPUT_FRAMES - 1)
            for channel in range(channels_in):
                sample = np.float64(came[n, channel]) if there else 0.0
                sample = sample if math.isfinite(sample) else 0.0
                sample = min(max(sample, -INPUT_LIMIT_AMPLITUDE), INPUT_LIMIT_AMPLITUDE)
                samples[place, channel] = np.float32(sample)
        fence()  # release: the samples are there before the counter says so
        input_counters[0] = written + frames

    # PortAudio may take one device buffer in several calls, at one and the same time.
    now = -1.0
    if _address(time_info) != 0:
        now = numba.carray(time_info, (3,))[CURRENT_TIME]
    before = voice[BURST_TIME]
    interval_us = np.int64((now - before) * 1e6 + 0.5) if 0.0 <= before <= now else np.int64(-1)
    same_buffer = now >= 0.0 and now == before and not flags & OUTPUT_UNDERFLOW
    if now_ns >= 0:
        if same_buffer:
            intervals[PIECES] += 1
        else:
            if intervals[LAST_NS] > 0:
                took = np.int64(voice[BURST])
                if intervals[BIN_NS] == 0:
                    intervals[BIN_NS] = max(1, took * 1_000_000_000 // (words[RATE_HZ] * BINS_A_BUFFER))
                interval_ns = now_ns - intervals[LAST_NS]
                place = min(max(interval_ns // intervals[BIN_NS], 0), INTERVAL_BINS)
                intervals[FIRST_BIN + place] += 1
                intervals[LONGEST_NS] = max(intervals[LONGEST_NS], interval_ns)
                intervals[INTERVAL_FRAMES] += took
                intervals[INTERVALS] += 1
            intervals[LAST_NS] = now_ns
    voice[BURST] = voice[BURST] + frames if same_buffer else frames
    voice[BURST_TIME] = now
    voice[LARGEST] = max(voice[LARGEST], voice[BURST])
    voice[WINDOW_FRAMES] += frames
    counters[DEVICE_FRAMES] = np.int64(max(voice[LARGEST], voice[LARGEST_BEFORE]))
    if voice[WINDOW_FRAMES] >= FORGET_S * words[RATE_HZ] and not same_buffer:
        voice[LARGEST_BEFORE] = voice[LARGEST]
        voice[LARGEST] = voice[BURST]
        voice[WINDOW_FRAMES] = 0.0

    read = counters[READ]
    available = counters[WRITTEN] - read
    fence()  # acquire: no sample is read before the counter that vouches for it
    taken = min(max(available, 0), frames)
    gain = voice[GAIN]
    decay = voice[DECAY]
    left = voice[LAST_LEFT]
    right = voice[LAST_RIGHT]
    rest_left = voice[REST_LEFT]
    rest_right = voice[REST_RIGHT]
    for n in range(frames):
        if n == taken:
            rest_left = left
            rest_right = right
        rest_left = rest_left * decay if abs(rest_left) > SILENCE_AMPLITUDE else 0.0
        rest_right = rest_right * decay if abs(rest_right) > SILENCE_AMPLITUDE else 0.0
        left = rest_left
        right = rest_right
        if n < taken:
            place = (read + n) & (RING_FRAMES - 1)
            new_left = np.float64(ring[place, 0])
            new_right = np.float64(ring[place, 1])
            left += gain * new_left if math.isfinite(new_left) else 0.0
            right += gain * new_right if math.isfinite(new_right) else 0.0
            gain = min(1.0, gain + voice[GAIN_STEP])
        if channels == 1:
            out[n, 0] = np.float32(0.5 * (left + right))
        else:
            out[n, 0] = np.float32(left)
            out[n, 1] = np.float32(right)
            for channel in range(2, channels):
                out[n, channel] = np.float32(0.0)
    voice[LAST_LEFT] = left
    voice[LAST_RIGHT] = right
    voice[REST_LEFT] = rest_left
    voice[REST_RIGHT] = rest_right
    voice[GAIN] = gain
    if taken < frames:
        voice[GAIN] = 0.0
        voice[GAIN_STEP] = voice[USUAL_STEP]

    playing = counters[STATE] == PLAYING
    if playing:
        if taken < frames:
            begun = 1 if voice[SHORT] == 0.0 else 0
            row = (counters[UNDERRUNS] + begun - 1) & (UNDERRUN_LOG - 1)
            if begun:
                log[row, 0] = read + taken
                log[row, 1] = 0
                log[row, 2] = interval_us
            log[row, 1] += frames - taken
            fence()  # release: the row is there before the counter says so
            counters[UNDERRUNS] += begun
            counters[UNDERRUN_FRAMES] += frames - taken
        counters[RING_MINIMUM] = min(counters[RING_MINIMUM], available - taken)
    voice[SHORT] = 1.0 if playing and taken < frames else 0.0
    if flags & OUTPUT_UNDERFLOW:
        counters[DEVICE_UNDERFLOWS] += 1
    fence()  # release: the samples are read before their places are given back
    counters[READ] = read + taken
    counters[CALLBACKS] += 1
    return 0


@functools.cache
def compiled_callback() -> Any:
    """Compile the callback, or load it from the cache; `address` is the C function. Keep it while it is in use."""
    try:
        return _compile(cache=True)
    except Exception:  # an unreadable cache raises whatever its damaged bytes happen to mean
        return _compile(cache=False)


def _compile(cache: bool) -> Any:
    return numba.cfunc(SIGNATURE, nopython=True, cache=cache, error_model="numpy")(_fill)
