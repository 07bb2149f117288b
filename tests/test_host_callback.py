import ctypes
import re
import time
from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from engine.host import callback
from engine.host.callback import CallbackState, compiled_callback
from engine.inputs import INPUT_CHANNELS, INPUT_FRAMES, InputRing

RATE_HZ = 48_000


class Device:
    """Calls the compiled callback as PortAudio would."""

    def __init__(
        self,
        channels: int = 2,
        fade_in_ms: float = 0.0,
        first_frame: int = 0,
        channels_in: int = 0,
        clock: int | None = None,
    ) -> None:
        self.ring = np.zeros((callback.RING_FRAMES, 2), np.float32)
        self.counters = np.zeros(callback.COUNTERS, np.int64)
        self.counters[[callback.WRITTEN, callback.READ]] = first_frame
        self.counters[callback.RING_MINIMUM] = callback.RING_FRAMES
        self.counters[callback.STATE] = callback.PLAYING
        self.channels = channels
        self.log = np.zeros((callback.UNDERRUN_LOG, callback.UNDERRUN_COLUMNS), np.int64)
        self.inputs = InputRing()
        self.intervals = np.zeros(callback.INTERVAL_WORDS, np.int64)
        self.channels_in = channels_in
        self.state = CallbackState(
            self.ring,
            self.counters,
            self.log,
            RATE_HZ,
            channels,
            fade_in_ms=fade_in_ms,
            inputs=self.inputs,
            channels_in=channels_in,
            intervals=self.intervals,
            clock=clock,
        )
        kind = ctypes.CFUNCTYPE(
            ctypes.c_int32,
            *(
                ctypes.c_void_p,
                ctypes.c_void_p,
                ctypes.c_ulong,
                ctypes.c_void_p,
                ctypes.c_ulong,
                ctypes.c_void_p,
            ),
        )
        self._compiled = compiled_callback()
        self._call = kind(self._compiled.address)

    def write(self, frames: NDArray[np.float32]) -> None:
        written = int(self.counters[callback.WRITTEN])
        self.ring[np.arange(written, written + len(frames)) % callback.RING_FRAMES] = frames
        self.counters[callback.WRITTEN] = written + len(frames)

    def take(
        self,
        frames: int,
        flags: int = 0,
        now_s: float | None = None,
        source: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        came = source.ctypes.data if source is not None else None
        out = np.full((frames, self.channels), np.nan, np.float32)
        times = np.array([0.0, now_s or 0.0, 0.0])
        time_info = times.ctypes.data if now_s is not None else None
        assert self._call(came, out.ctypes.data, frames, time_info, flags, self.state.address) == 0
        return out

    def count(self, counter: int) -> int:
        return int(self.counters[counter])


class SlowTwin:
    """What the callback promises, one frame at a time."""

    def __init__(self, sound: NDArray[np.float32], fade_in_ms: float) -> None:
        self.sound = sound.astype(float)
        self.at = 0
        self.gain = 0.0 if fade_in_ms else 1.0
        self.step = 1.0 / ((fade_in_ms or 5.0) * 1e-3 * RATE_HZ)
        self.heard = np.zeros(2)
        self.rest = np.zeros(2)

    def take(self, frames: int, available: int) -> NDArray[np.float64]:
        out = np.zeros((frames, 2))
        for n in range(frames):
            if n == available:
                self.rest = self.heard
            self.rest = np.where(abs(self.rest) > 1e-6, self.rest * np.exp(-1.0 / (1e-3 * RATE_HZ)), 0.0)
            self.heard = self.rest
            if n < available:
                self.heard = self.rest + self.gain * self.sound[self.at]
                self.gain = min(1.0, self.gain + self.step)
                self.at += 1
            out[n] = self.heard
        if available < frames:
            self.gain = 0.0
            self.step = 1.0 / (5e-3 * RATE_HZ)
        return out


def noise(frames: int, seed: int = 440) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-1, 1, (frames, 2)).astype(np.float32)


@pytest.mark.parametrize("fade_in_ms", [0.0, 5.0, 50.0])
def test_compiled_callback_is_its_slow_twin_over_odd_buffers_wrap_around_and_underruns(
    fade_in_ms: float,
) -> None:
    random = np.random.default_rng(1)
    sound = noise(12_000)
    device = Device(fade_in_ms=fade_in_ms, first_frame=callback.RING_FRAMES - 3000)
    twin = SlowTwin(sound, fade_in_ms)
    written = 0
    while written < len(sound):
        if random.random() < 0.7:
            size = min(int(random.integers(1, 700)), len(sound) - written)
            device.write(sound[written : written + size])
            written += size
        frames = int(random.choice([1, 7, 64, 127, 128, 333, 1024]))
        available = min(frames, written - twin.at)
        np.testing.assert_allclose(device.take(frames), twin.take(frames, available), atol=1e-6)
    assert device.count(callback.UNDERRUNS) > 3
    assert device.count(callback.READ) == callback.RING_FRAMES - 3000 + twin.at


def test_sound_that_is_never_short_passes_bit_for_bit_across_the_wrap() -> None:
    device = Device(first_frame=callback.RING_FRAMES * 5 - 100)
    sound = noise(1000)
    device.write(sound)
    heard = np.concatenate([device.take(frames) for frames in (1, 98, 2, 399, 500)])
    np.testing.assert_array_equal(heard, sound)
    assert device.count(callback.UNDERRUNS) == 0


@pytest.mark.parametrize("available", [0, 1, 50, 127])
def test_no_step_reaches_the_speakers_when_the_ring_runs_short_and_fills_again(available: int) -> None:
    device = Device()
    device.write(np.ones((1024 + available, 2), np.float32))
    heard = [device.take(128) for _ in range(9)]
    device.write(np.ones((1024, 2), np.float32))
    heard += [device.take(128) for _ in range(8)]
    sound = np.concatenate(heard)
    # The decay starts with 1/48 of what was heard last, the fade-in with 1/240.
    assert np.abs(np.diff(sound, axis=0)).max() < 0.025
    assert sound.min() < 0.6
    assert sound[-1, 0] == pytest.approx(1.0)


def test_an_underrun_is_one_event_however_long_it_lasts_and_counts_its_frames() -> None:
    device = Device()
    device.write(noise(200))
    for _ in range(5):
        device.take(128)
    device.write(noise(128))
    device.take(128)
    device.take(128)
    assert device.count(callback.UNDERRUNS) == 2
    assert device.count(callback.UNDERRUN_FRAMES) == 5 * 128 - 200 + 128
    assert device.count(callback.CALLBACKS) == 7


def test_each_underrun_is_noted_where_the_ring_ran_dry_with_what_was_missing() -> None:
    """The 300 newest of 300 under-runs, of which the log holds 256: each 1 frame longer than the one before."""
    device = Device()
    expected = []
    for number in range(300):
        device.write(noise(128))
        device.take(128)
        expected.append((128 * (number + 1), number + 2, -1))
        device.take(1)
        device.take(number + 1)
    assert device.count(callback.UNDERRUNS) == 300
    rows = [tuple(device.log[number % callback.UNDERRUN_LOG]) for number in range(300 - 256, 300)]
    assert rows == expected[-256:]


@pytest.mark.parametrize(
    ("before_s", "now_s", "interval_us"),
    [
        *((100.0, 100.0 + 128 / RATE_HZ, 2667), (100.0, 100.000_05, 50), (100.0, 100.0, 0)),
        *((None, 100.0, -1), (100.0, None, -1), (100.0, 99.0, -1)),
    ],
)
def test_a_late_engine_is_told_from_a_device_in_a_burst(
    before_s: float | None, now_s: float | None, interval_us: int
) -> None:
    """2667 us between the callbacks for a period of 128 frames, 50 for a burst, -1 without or against the clock.

    The second callback that the same stretch leaves short, 1 s later, changes nothing.
    """
    device = Device()
    device.write(noise(150))
    device.take(128, now_s=before_s)
    device.take(128, now_s=now_s)
    device.take(128, now_s=101.0)
    assert device.count(callback.UNDERRUNS) == 1
    assert device.log[0].tolist() == [150, 2 * 128 - 22, interval_us]


def test_the_first_callback_of_all_has_no_interval() -> None:
    device = Device()
    device.take(128, now_s=100.0)
    assert device.log[0].tolist() == [0, 128, -1]


def test_what_the_device_hears_arrives_in_order_across_the_wrap() -> None:
    device = Device(channels_in=2)
    first = INPUT_FRAMES * 3 - 700
    device.inputs.counters[:] = first, 2
    sound = noise(2000)
    at = 0
    for frames in (1, 128, 1000, 871):
        device.take(frames, source=sound[at : at + frames])
        at += frames
        assert device.inputs.counters[0] == first + at
    places = np.arange(first, first + 2000) % INPUT_FRAMES
    np.testing.assert_array_equal(device.inputs.samples[places, :2], sound)
    assert not device.inputs.samples[:, 2:].any()


def test_what_comes_in_is_finite_and_at_most_24_dbfs() -> None:
    device = Device(channels_in=INPUT_CHANNELS)
    sound = np.zeros((5, INPUT_CHANNELS), np.float32)
    sound[:, 7] = np.nan, np.inf, -np.inf, 100.0, -100.0
    device.take(5, source=sound)
    limit = 10.0 ** (24 / 20)
    np.testing.assert_allclose(device.inputs.samples[:5, 7], [0.0, 0.0, 0.0, limit, -limit], rtol=1e-6)
    assert not device.inputs.samples[:, :7].any()


def test_a_device_that_gives_nothing_is_heard_as_silence_and_none_without_an_input() -> None:
    device = Device(channels_in=1)
    device.inputs.samples.fill(1.0)
    device.take(64)
    assert device.inputs.counters[0] == 64
    assert not device.inputs.samples[:64, 0].any()
    deaf = Device()
    deaf.take(64, source=noise(64))
    assert deaf.inputs.counters[0] == 0
    assert not deaf.inputs.samples.any()


def test_the_numbers_frozen_into_the_callback_are_those_of_the_input_ring() -> None:
    assert (callback.INPUT_FRAMES, callback.INPUT_CHANNELS) == (INPUT_FRAMES, INPUT_CHANNELS)


def test_a_ring_that_drains_after_the_end_is_no_underrun() -> None:
    device = Device()
    device.write(noise(128))
    device.counters[callback.STATE] = callback.DRAINING
    for _ in range(3):
        device.take(128)
    assert device.count(callback.UNDERRUNS) == device.count(callback.UNDERRUN_FRAMES) == 0


@pytest.mark.parametrize("channels", range(1, 9))
def test_every_channel_count_gets_the_stereo_sound(channels: int) -> None:
    device = Device(channels)
    sound = noise(100)
    device.write(sound)
    heard = device.take(100)
    if channels == 1:
        np.testing.assert_allclose(heard[:, 0], sound.mean(1), atol=1e-7)
    else:
        np.testing.assert_array_equal(heard[:, :2], sound)
        assert not heard[:, 2:].any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_non_finite_sample_is_silent_and_leaves_no_trace(bad: float) -> None:
    device = Device()
    sound = noise(300)
    sound[100, 0] = bad
    device.write(sound)
    heard = device.take(300)
    sound[100, 0] = 0.0
    np.testing.assert_array_equal(heard, sound)
    assert np.isfinite(device.take(64)).all()


def test_the_device_s_own_underflows_are_counted_by_their_flag_alone() -> None:
    device = Device()
    device.write(noise(512))
    for flags in (0, 4, 1 | 2 | 8 | 16, 4 | 8):
        device.take(128, flags)
    assert device.count(callback.DEVICE_UNDERFLOWS) == 2


def test_a_device_buffer_taken_in_pieces_at_one_time_counts_as_one() -> None:
    device = Device()
    device.write(noise(4096))
    for now_s, flags in ((1.0, 0), (1.0, 0), (1.0, 0), (1.5, 0), (1.5, 0), (1.5, 4), (1.5, 0)):
        device.take(128, flags, now_s)
    assert device.count(callback.DEVICE_FRAMES) == 3 * 128


def test_a_muted_callback_gives_silence_and_touches_nothing() -> None:
    device = Device()
    device.write(noise(512))
    device.state.mute()
    before = device.counters.copy()
    assert not device.take(128).any()
    np.testing.assert_array_equal(device.counters, before)


def test_ring_minimum_is_the_least_that_was_left() -> None:
    device = Device()
    device.write(noise(512))
    device.take(128)
    device.take(256)
    device.write(noise(512))
    device.take(64)
    assert device.count(callback.RING_MINIMUM) == 128


class Clock:
    """A `clock_gettime` that tells `times_ns` one after the other, then fails."""

    def __init__(self, times_ns: NDArray[np.int64]) -> None:
        self.times_ns = times_ns.tolist()
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.c_int64))
        self._kept = kind(self.tell)
        self.address = ctypes.cast(self._kept, ctypes.c_void_p).value

    def tell(self, clock: int, timespec: Any) -> int:
        assert clock == time.CLOCK_MONOTONIC
        if not self.times_ns:
            return -1
        timespec[0], timespec[1] = divmod(self.times_ns.pop(0), 1_000_000_000)
        return 0


def test_intervals_between_buffers_are_counted_as_numpy_counts_them() -> None:
    """Bins of 1/256 of a buffer of 128 frames, up to 8 of it, and all that is longer in one more."""
    random = np.random.default_rng(440)
    bin_ns = 128 * 1_000_000_000 // (RATE_HZ * 256)
    intervals_ns = np.concatenate(
        [
            random.normal(2_666_667, 400_000, 2000).astype(np.int64).clip(0),
            np.array([0, 1, bin_ns - 1, bin_ns, 2048 * bin_ns - 1, 2048 * bin_ns, 10_000_000_000]),
        ]
    )
    clock = Clock(5_000_000_000_000 + np.concatenate([[0], np.cumsum(intervals_ns)]))
    device = Device(clock=clock.address)
    for _ in range(len(intervals_ns) + 1):
        device.take(128)
    edges = np.append(np.arange(2049) * bin_ns, np.iinfo(np.int64).max)
    expected, _ = np.histogram(intervals_ns, edges)
    np.testing.assert_array_equal(device.intervals[callback.FIRST_BIN :], expected)
    assert device.intervals[callback.BIN_NS] == bin_ns
    assert device.intervals[callback.LONGEST_NS] == 10_000_000_000
    assert device.intervals[callback.INTERVALS] == len(intervals_ns)
    assert device.intervals[callback.INTERVAL_FRAMES] == 128 * len(intervals_ns)


def test_a_buffer_that_is_taken_in_pieces_ends_one_interval() -> None:
    """Three calls of 64 frames at one time of the device, 4 ms apart: 192 frames in each interval."""
    clock = Clock(np.arange(9, dtype=np.int64) * 10_000 + np.repeat([1, 4_000_001, 8_000_001], 3))
    device = Device(clock=clock.address)
    for now_s in np.repeat([1.0, 1.004, 1.008], 3):
        device.take(64, now_s=float(now_s))
    assert device.intervals[callback.PIECES] == 6
    assert device.intervals[callback.INTERVALS] == device.intervals[callback.FIRST_BIN :].sum() == 2
    assert device.intervals[callback.INTERVAL_FRAMES] == 2 * 192
    assert device.intervals[callback.LONGEST_NS] == 4_030_000


@pytest.mark.parametrize("broken", [False, True])
def test_without_a_clock_the_sound_is_the_same_and_no_interval_is_counted(broken: bool) -> None:
    clock = Clock(np.array([], np.int64))
    device = Device(clock=clock.address if broken else 0)
    sound = noise(256)
    device.write(sound)
    heard = np.concatenate([device.take(128), device.take(128)])
    np.testing.assert_array_equal(heard, sound)
    assert not device.intervals.any()


def test_the_clock_of_the_callback_is_that_of_the_machine() -> None:
    device = Device()
    before_ns = time.monotonic_ns()
    device.take(128)
    assert before_ns <= device.intervals[callback.LAST_NS] <= time.monotonic_ns()


def test_the_callback_neither_allocates_nor_waits_for_the_interpreter() -> None:
    """What numba wraps around it takes the interpreter only for an error, and the one thing it returns is 0.

    The clock is the only function it calls by an address.
    """
    compiled = numba.cfunc(callback.SIGNATURE, nopython=True, error_model="numpy")(callback._fill)
    functions = compiled.inspect_llvm().split("\ndefine ")
    body = next(text for text in functions if re.match(r"[^\n]*@_ZN\w*_fill", text))
    assert not re.findall(r"@\w*(?:alloc|gil|GIL|Py)\w*", body)
    assert set(re.findall(r"ret i32 (.*)", body)) == {"0"}
    assert len(re.findall(r"call i32 %", body)) == 1
    calls = set(re.findall(r"call [^\n@%]*@([\w.]+)", body))
    assert not {name for name in calls if not name.startswith("llvm.")}


def test_a_device_that_was_late_once_keeps_the_ring_deep_for_ever() -> None:
    """Two periods at once count for 5 to 10 s; a device that always takes four pieces at once is not forgotten."""
    device = Device()
    seen = []
    for period in range(5000):
        device.counters[callback.WRITTEN] += 128 if period != 100 else 256
        for _ in range(2 if period == 100 else 1):
            device.take(128, now_s=period * 128 / RATE_HZ)
        seen.append(device.count(callback.DEVICE_FRAMES))
    seconds = {frames: seen.count(frames) * 128 / RATE_HZ for frames in (128, 256)}
    assert seen[99] == 128
    assert 5.0 <= seconds[256] <= 10.1
    assert seen[-1] == 128
    pieces = Device()
    for period in range(500):
        for _ in range(4):
            pieces.counters[callback.WRITTEN] += 128
            pieces.take(128, now_s=period * 512 / RATE_HZ)
            if period:
                assert pieces.count(callback.DEVICE_FRAMES) == 512
