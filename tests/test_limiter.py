"""Nothing may pass the ceiling, nothing below it may be changed, and the delay must be what it says."""

import gc
import tracemalloc

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from dsp.limiter import Limiter
from dsp.true_peak import TAPS, phase_taps
from engine.errors import GraphError
from engine.nodes import Limiter as LimiterNode
from tests.test_nodes import Bench
from tests.test_nodes import build as build_node

RATE = 48_000
CEILING = 10 ** (-1 / 20)


def limit(limiter: Limiter, x: npt.NDArray[np.float32], sizes: list[int]) -> npt.NDArray[np.float32]:
    """Run x through in blocks of the given sizes, repeated as often as needed."""
    y = np.full_like(x, np.nan)
    first, i = 0, 0
    while first < len(x):
        stop = min(len(x), first + sizes[i % len(sizes)])
        limiter.process(x[first:stop], y[first:stop])
        first, i = stop, i + 1
    return y


def noise(frames: int, amplitude: float, seed: int = 1) -> npt.NDArray[np.float32]:
    return (amplitude * np.random.default_rng(seed).standard_normal((frames, 2))).astype(np.float32)


def true_peak_after_limiting_db(x: npt.NDArray[np.float64]) -> float:
    """Limit x to -1 dB and return the peak of the result after 16 times oversampling.

    With silence around it: a signal cut off at the end of an array has peaks that no limiter has seen.
    """
    padded = np.ascontiguousarray(np.pad(x, ((200, 600), (0, 0))), np.float32)
    y = limit(Limiter(RATE), padded, [128]).astype(np.float64)
    return float(20 * np.log10(np.abs(signal.resample_poly(y, 16, 1, axis=0, window=("kaiser", 14.0))).max()))


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    level_db=st.floats(-40.0, 100.0),
    density=st.floats(0.001, 1.0),
    ceiling_db=st.floats(-20.0, 0.0),
    lookahead_ms=st.floats(0.02, 5.0),
    release_ms=st.floats(1.0, 500.0),
    sizes=st.lists(st.integers(1, 700), min_size=1, max_size=5),
)
def test_no_sample_passes_the_ceiling_whatever_comes_in(
    seed: int,
    level_db: float,
    density: float,
    ceiling_db: float,
    lookahead_ms: float,
    release_ms: float,
    sizes: list[int],
) -> None:
    """Sparse and dense noise to +100 dB: max |y| <= 10**(ceiling/20), not one unit above."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2000, 2)) * 10 ** (level_db / 20) * (rng.random((2000, 1)) < density)
    limiter = Limiter(RATE, ceiling_db, lookahead_ms, release_ms)
    y = limit(limiter, x.astype(np.float32), sizes)
    assert np.abs(y.astype(np.float64)).max() <= 10 ** (ceiling_db / 20)


@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 96_000, 192_000])
def test_an_edge_100_db_over_full_scale_comes_out_at_the_ceiling(rate_hz: int) -> None:
    """A square wave of 1e5 with gaps: at most -1 dB at every sample, and loud (above -4 dB)."""
    x = np.zeros((rate_hz, 2), np.float32)
    x[rate_hz // 4 : rate_hz // 2] = 1e5 * np.sign(np.sin(np.arange(rate_hz // 4) * 0.13))[:, None]
    y = limit(Limiter(rate_hz), x, [128])
    assert 10 ** (-4 / 20) < np.abs(y).max() <= CEILING


@pytest.mark.parametrize(
    "kind",
    ["noise to 20 kHz", "dull", "clicks", "square", "bass bursts", "sweep", "997", "5000", "12000", "18000"],
)
def test_the_true_peak_stays_near_the_ceiling(kind: str) -> None:
    """16 times oversampled output at most -1 + 0.3 dBTP, for programme 6 to 25 dB too loud."""
    n = np.arange(2 * RATE)
    white = np.random.default_rng(2).standard_normal((len(n), 2))
    if kind == "noise to 20 kHz":
        x = 2 * signal.lfilter(signal.firwin(255, 20_000, fs=RATE), 1.0, white, axis=0)
    elif kind == "dull":
        x = 20 * signal.lfilter(*signal.butter(2, 1000, fs=RATE), white, axis=0)
    elif kind == "clicks":
        x = 5 * white * (np.random.default_rng(3).random((len(n), 2)) < 0.001)
    elif kind == "square":
        x = 2 * np.sign(np.sin(2 * np.pi * 997 * n / RATE))[:, None] * [1.0, 1.0]
    elif kind == "bass bursts":
        x = 10 * (np.sin(2 * np.pi * 60 * n / RATE) * (n % 4000 < 1000))[:, None] * [1.0, 0.5]
    elif kind == "sweep":
        x = 3 * signal.chirp(n / RATE, 20, 2, 20_000)[:, None] * [1.0, 1.0]
    else:
        x = 2 * np.sin(2 * np.pi * float(kind) * n / RATE + 1)[:, None] * [1.0, 1.0]
    assert true_peak_after_limiting_db(x) <= -1.0 + 0.3


@pytest.mark.parametrize("kind", ["white noise", "keyed 20 kHz tone"])
def test_the_true_peak_of_what_no_programme_contains_stays_within_half_a_db(kind: str) -> None:
    """Noise up to the Nyquist frequency, a 20 kHz tone at +6 dBFS switched hard: at most -1 + 0.5 dBTP."""
    x = 2 * np.random.default_rng(2).standard_normal((2 * RATE, 2))
    if kind != "white noise":
        x[:] = 2 * np.sin(2 * np.pi * 20_000 * np.arange(2 * RATE) / RATE + 1)[:, None]
    assert true_peak_after_limiting_db(x) <= -1.0 + 0.5


def test_a_sound_below_the_ceiling_passes_bit_for_bit() -> None:
    """Output equals the input `latency_frames` earlier, exactly, and no reduction is read."""
    x = noise(20_000, 0.1)
    limiter = Limiter(RATE)
    y = limit(limiter, x, [128])
    late = limiter.latency_frames
    assert np.array_equal(y[late:], x[:-late])
    assert not y[:late].any()
    assert limiter.reduction_db == 0.0


def test_the_sound_is_untouched_again_once_the_release_has_run_out() -> None:
    """20 release times (1.6 s) after a burst of +40 dB the output is bit-equal again."""
    x = noise(3 * RATE, 0.1)
    x[100:1000] *= 1000.0
    limiter = Limiter(RATE)
    y = limit(limiter, x, [128])
    late, first = limiter.latency_frames, 1000 + int(20 * 0.080 * RATE)
    assert np.array_equal(y[first + late :], x[first:-late])
    assert not np.array_equal(y[2000 + late : first], x[2000 : first - late])


@pytest.mark.parametrize("lookahead_ms", [0.02, 0.5, 1.5, 5.0])
@pytest.mark.parametrize("rate_hz", [44_100, 96_000, 192_000])
def test_the_delay_is_the_latency_it_reports(lookahead_ms: float, rate_hz: int) -> None:
    """A click of 0.5 at frame 0 comes out at `latency_frames`, which is the look-ahead plus 11 frames."""
    limiter = Limiter(rate_hz, lookahead_ms=lookahead_ms)
    x = np.zeros((4000, 2), np.float32)
    x[0] = 0.5
    y = limit(limiter, x, [64])
    assert np.flatnonzero(y[:, 0]).tolist() == [limiter.latency_frames]
    assert limiter.latency_frames == max(1, round(lookahead_ms * 1e-3 * rate_hz)) + 11


@pytest.mark.parametrize("sizes", [[64], [1024], [1], [37, 128, 513]], ids=str)
def test_the_block_size_does_not_change_the_sound(sizes: list[int]) -> None:
    """Bit-equal to one call, in the middle of heavy limiting; in place as well."""
    x = noise(9000, 1.0)
    whole = limit(Limiter(RATE), x, [len(x)])
    assert np.array_equal(limit(Limiter(RATE), x, sizes), whole)
    place = x.copy()
    limiter = Limiter(RATE)
    for first in range(0, len(x), 100):
        limiter.process(place[first : first + 100], place[first : first + 100])
    assert np.array_equal(place, whole)


def test_both_channels_are_turned_down_alike() -> None:
    """A quiet right channel keeps its ratio of 1/8 to the loud left one within 1e-7."""
    mono = noise(5000, 2.0)[:, :1]
    y = limit(Limiter(RATE), np.concatenate([mono, mono / 8], axis=1), [128])
    assert np.abs(y[:, 0] / 8 - y[:, 1]).max() < 1e-7


def test_a_plain_double_precision_limiter_gives_the_same_sound() -> None:
    """numpy twin: windowed minimum, release, two box averages, delay; within 2e-6."""
    x = noise(4000, 0.7)
    limiter = Limiter(RATE)
    lookahead = limiter.latency_frames - 11
    y = limit(limiter, x, [128])

    padded = np.pad(x.astype(np.float64), ((TAPS - 1, 0), (0, 0)))
    peak = np.abs(padded[11 : 11 + len(x)]).max(axis=1)
    for row in phase_taps(RATE).astype(np.float64):
        points = [np.convolve(padded[:, lane], row[::-1], "valid") for lane in range(2)]
        peak = np.maximum(peak, np.abs(points).max(axis=0))
    needed = np.minimum(1.0, CEILING / np.maximum(peak, 1e-9))
    gain, release, smooth = 1.0, 1 - np.exp(-1 / (0.080 * RATE)), np.empty(len(x))
    for n in range(len(x)):
        lowest = needed[max(0, n - lookahead) : n + 1].min()
        gain = lowest if lowest < gain else gain + (lowest - gain) * release
        smooth[n] = gain
    for length in ((lookahead + 1) // 2, lookahead + 1 - (lookahead + 1) // 2):
        smooth = np.convolve(
            np.pad(smooth, (length - 1, 0), constant_values=1.0), np.ones(length) / length, "valid"
        )
    late = limiter.latency_frames
    expected = x[:-late] * smooth[late:, None]
    assert np.abs(y[late:] - expected).max() < 2e-6


def test_the_reduction_reads_how_far_the_gain_went_down() -> None:
    """A steady 100 Hz tone at +12 dBFS needs 13.0 dB; between the peaks it releases by less than 0.5 dB."""
    n = np.arange(RATE)
    x = (10 ** (12 / 20) * np.sin(2 * np.pi * 100 * n / RATE))[:, None].repeat(2, axis=1).astype(np.float32)
    limiter = Limiter(RATE)
    for first in range(0, RATE, 480):
        limiter.process(x[first : first + 480], np.empty((480, 2), np.float32))
    assert limiter.reduction_db == pytest.approx(13.0, abs=0.02)
    limiter.process(x[:24], np.empty((24, 2), np.float32))
    assert 12.5 < limiter.reduction_db <= 13.02


def test_the_gain_moves_without_a_corner() -> None:
    """A +20 dB step, look-ahead 72 frames: no gain change per frame above 2/72 of the way."""
    x = np.full((2000, 2), 0.5, np.float32)
    x[1000:] = 5.0
    limiter = Limiter(RATE)
    y = limit(limiter, x, [128]).astype(np.float64)
    late = limiter.latency_frames
    gain = y[late:, 0] / x[:-late, 0]
    drop = 1.0 - gain.min()
    assert np.abs(np.diff(gain)).max() <= 2.0 / 72 * drop * 1.01


def test_a_sample_that_is_not_a_number_does_not_reach_the_speakers() -> None:
    """NaN and infinities come out as 0, the frames around them as they were."""
    x = noise(4000, 0.1)
    x[1000], x[1500, 0], x[1600, 1] = np.nan, np.inf, -np.inf
    limiter = Limiter(RATE)
    y = limit(limiter, x, [128])
    late = limiter.latency_frames
    assert np.array_equal(y[late:], np.where(np.isfinite(x), x, 0)[:-late].astype(np.float32))


def test_the_largest_floats_there_are_still_come_out_finite_and_below_the_ceiling() -> None:
    """±3.4e38 alternating: finite, at most -1 dBFS."""
    x = np.full((3000, 2), np.finfo(np.float32).max, np.float32)
    x[::2] *= -1
    y = limit(Limiter(RATE), x, [128])
    assert np.isfinite(y).all()
    assert np.abs(y).max() <= CEILING


def test_reset_gives_a_limiter_as_new() -> None:
    """Bit-equal output to a fresh one after any history."""
    used = Limiter(RATE)
    limit(used, noise(3000, 30.0), [100])
    used.reset()
    assert used.reduction_db == 0.0
    x = noise(3000, 1.0, seed=5)
    assert np.array_equal(limit(used, x, [128]), limit(Limiter(RATE), x, [128]))


@pytest.mark.parametrize(
    ("name", "value"), [("lookahead_ms", 100.0), ("release_ms", 0.0), ("release_ms", float("nan"))]
)
def test_a_time_it_cannot_keep_is_refused_by_name(name: str, value: float) -> None:
    """At most 4096 frames of look-ahead; a release above 0."""
    with pytest.raises(ValueError, match=name):
        Limiter(RATE, **{name: value})


def test_limiting_allocates_nothing() -> None:
    """200 quanta: less than one block of 128 x 2 (1024 bytes) at the peak."""
    limiter = Limiter(RATE)
    x, y = noise(128, 2.0), np.empty((128, 2), np.float32)

    def run() -> None:
        for _ in range(200):
            limiter.process(x, y)

    run()
    gc.collect()
    tracemalloc.start()
    run()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1024


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    level_db=st.floats(-20.0, 60.0),
    density=st.floats(0.001, 1.0),
    ceilings=st.lists(st.floats(-12.0, 0.0), min_size=1, max_size=12),
    every=st.sampled_from([16, 128, 1024]),
)
def test_no_sample_passes_the_ceiling_while_it_moves(
    seed: int, level_db: float, density: float, ceilings: list[float], every: int
) -> None:
    """Turned again in the middle of its 20 ms: |y| at most the ceiling when it was looked at, 71 frames ago."""
    rng = np.random.default_rng(seed)
    frames = every * len(ceilings) + 2400
    x = rng.standard_normal((frames, 2)) * 10 ** (level_db / 20) * (rng.random((frames, 1)) < density)
    limiter = Limiter(RATE)
    late = limiter.latency_frames
    ago = late - 12
    start = target = now = 10 ** (-1 / 20)
    begun, line, pieces = -960, [], []
    for i, ceiling_db in enumerate(ceilings):
        limiter.set_ceiling(ceiling_db)
        stop = every * (i + 1) if i + 1 < len(ceilings) else frames
        piece = np.empty((stop - every * i, 2), np.float32)
        limiter.process(np.ascontiguousarray(x[every * i : stop], np.float32), piece)
        pieces.append(piece)
        wanted = 10 ** (ceiling_db / 20)
        if wanted != target:
            start, target, begun = now, wanted, every * i
        line += [start + (target - start) * min(1.0, (n + 1 - begun) / 960) for n in range(every * i, stop)]
        now = line[-1]
    y = np.abs(np.concatenate(pieces)).max(axis=1)
    # The ramp counts in float32.
    assert (y[ago:] <= np.array(line)[:-ago] * (1 + 1e-6)).all()
    assert y[:late].max() == 0.0


@pytest.mark.parametrize("quantum", [16, 128, 1024])
@pytest.mark.parametrize("kind", ["noise to 20 kHz", "bass", "5000"])
def test_the_true_peak_stays_near_a_ceiling_that_moves(kind: str, quantum: int) -> None:
    """-1, -12, 0, -12 dBTP, 0.1 s each, programme far too loud: at most 0.3 dB above the higher of old and new."""
    n = np.arange(4 * 4800 // quantum * quantum)
    if kind == "noise to 20 kHz":
        white = np.random.default_rng(2).standard_normal((len(n), 2))
        x = 2 * signal.lfilter(signal.firwin(255, 20_000, fs=RATE), 1.0, white, axis=0)
    else:
        x = 3 * np.sin(2 * np.pi * (60 if kind == "bass" else 5000) * n / RATE)[:, None] * [1.0, 0.7]
    limiter, turns = (
        Limiter(RATE),
        {4800 // quantum * quantum * i: db for i, db in ((1, -12), (2, 0), (3, -12))},
    )
    limit_db, now_db = np.full(len(n), -1.0), -1.0
    y = np.empty((len(n), 2), np.float32)
    for first in range(0, len(n), quantum):
        if first in turns:
            limiter.set_ceiling(turns[first])
            limit_db[first:] = turns[first]
            # A peak of the way is one of the old ceiling, at most.
            limit_db[first : first + 960 + limiter.latency_frames + 12] = max(now_db, turns[first])
            now_db = turns[first]
        block = np.ascontiguousarray(x[first : first + quantum], np.float32)
        limiter.process(block, y[first : first + quantum])
    fine = np.abs(signal.resample_poly(y.astype(np.float64), 16, 1, axis=0, window=("kaiser", 14.0))).max(
        axis=1
    )
    # The end is cut off, which has peaks that no limiter has seen.
    excess_db = 20 * np.log10(fine.reshape(-1, 16).max(axis=1) + 1e-9) - limit_db
    assert excess_db[:-24].max() <= 0.3


def ceiling_turned(
    x: npt.NDArray[np.float32], quantum: int, every: int, seed: int
) -> npt.NDArray[np.float32]:
    rng, limiter, y = np.random.default_rng(seed), Limiter(RATE), np.empty_like(x)
    for first in range(0, len(x), quantum):
        if first and first % every == 0:
            limiter.set_ceiling([-12.0, 0.0][first // every % 2] if not seed else rng.uniform(-12.0, 0.0))
        limiter.process(x[first : first + quantum], y[first : first + quantum])
    return y


@pytest.mark.parametrize("quantum", [16, 128, 1024])
@pytest.mark.parametrize(
    ("every", "seed"), [(9216, 0), (1024, 1), (1024, 2)], ids=["to and fro", "storm", "storm 2"]
)
def test_a_ceiling_that_moves_steps(every: int, seed: int, quantum: int) -> None:
    """100 Hz at 0.5 from -12 to 0 dBTP and back: no second difference 1e-3 above the sine's own 9e-5."""
    x = (
        (0.5 * np.sin(2 * np.pi * 100 * np.arange(46_080) / RATE))[:, None]
        .repeat(2, axis=1)
        .astype(np.float32)
    )
    y = ceiling_turned(x, quantum, every, seed)
    assert np.isfinite(y).all()
    assert np.abs(np.diff(y[480:].astype(np.float64), 2, axis=0)).max() < 9e-5 + 1e-3
    assert np.abs(y - np.roll(x, Limiter(RATE).latency_frames, axis=0)).max() > 0.1


@pytest.mark.parametrize("quantum", [16, 128, 1024])
def test_a_ceiling_that_moves_under_noise_bursts_steps(quantum: int) -> None:
    """-12, 0, -12 dBTP: the gain bends by no more than 1e-3 above what it does at either ceiling that stands still."""
    rng = np.random.default_rng(3)
    noise = rng.uniform(0.1, 0.5, (46_080, 2)) * rng.choice([-1.0, 1.0], (46_080, 2))
    x = (noise * np.where(np.arange(46_080) // 2400 % 2, 1.0, 0.1)[:, None]).astype(np.float32)
    late = Limiter(RATE).latency_frames

    def bend(y: npt.NDArray[np.float32]) -> float:
        gain = y[late:].astype(np.float64) / x[:-late]
        return float((np.abs(np.diff(gain, 2, axis=0)) * np.abs(x[1 : -late - 1])).max())

    own = max(bend(limit(Limiter(RATE, ceiling_db), x, [128])) for ceiling_db in (-12.0, -6.0, 0.0))
    assert bend(ceiling_turned(x, quantum, 9216, 0)) < own + 1e-3


def test_a_ceiling_set_to_what_it_is_changes_a_bit() -> None:
    """Set to its own value at every block, in the middle of heavy limiting: bit-equal to one left alone."""
    x, limiter = noise(9000, 1.0), Limiter(RATE, -3.3)
    y = np.empty_like(x)
    for first in range(0, len(x), 100):
        limiter.set_ceiling(-3.3)
        limiter.process(x[first : first + 100], y[first : first + 100])
    assert np.array_equal(y, limit(Limiter(RATE, -3.3), x, [128]))


def test_a_limiter_that_is_replaced_begins_anew() -> None:
    """One of another release and ceiling goes on with the gain: equal to the end of the look-ahead, and no step."""
    x = (2 * np.sin(2 * np.pi * 100 * np.arange(19_200) / RATE))[:, None].repeat(2, axis=1).astype(np.float32)
    old, new, alone = Limiter(RATE), Limiter(RATE, -1.0), Limiter(RATE)
    other = Limiter(RATE, -6.0, release_ms=300.0)
    for limiter in (old, alone):
        limit(limiter, x[:9600], [128])
    new.adopt(old)
    other.adopt(old)
    rest = limit(alone, x[9600:], [128])
    assert np.array_equal(limit(new, x[9600:], [128]), rest)
    heard = np.concatenate([limit(Limiter(RATE), x[:9600], [128]), limit(other, x[9600:], [128])])
    own = np.abs(np.diff(np.concatenate([heard[:9600], rest])[480:], 2, axis=0)).max()
    assert np.abs(np.diff(heard[480:], 2, axis=0)).max() < own + 1e-3
    assert np.abs(heard[-4800:]).max() <= 10 ** (-6 / 20)
    assert np.abs(heard[9600:9900]).max() > 10 ** (-3 / 20)


def build(ceiling_db: float = -1.0, lookahead_ms: float = 1.5, release_ms: float = 80.0) -> Bench:
    return build_node(LimiterNode(ceiling_db, lookahead_ms, release_ms))


def test_the_node_moves_its_ceiling_and_begins_at_it() -> None:
    """The parameter holds from the first frame on and after a reset, then -12 dBTP; within 0.5 dB below."""
    lowered = build(-1.0)
    lowered.params.set("node.ceiling_db", -6.0)
    for bench in (build(-6.0), lowered):
        heard = np.concatenate([bench.run(2.0) for _ in range(40)])
        assert 10 ** (-6.5 / 20) < np.abs(heard).max() <= 10 ** (-6 / 20)
        bench.params.set("node.ceiling_db", -12.0)
        heard = np.concatenate([bench.run(2.0) for _ in range(40)])
        assert 10 ** (-12.5 / 20) < np.abs(heard[-2000:]).max() <= 10 ** (-12 / 20)
        bench.processor.reset()
        assert np.abs(np.concatenate([bench.run(2.0) for _ in range(10)])).max() <= 10 ** (-12 / 20)


def test_the_node_goes_on_from_one_of_the_same_latency() -> None:
    """Another release is adopted and sounds on bit for bit; another look-ahead is not adopted."""
    old, new, alone = build(), build(), build()
    for i in range(40):
        x = noise(128, 2.0, seed=i)
        old.run(x)
        alone.run(x)
    assert build(release_ms=200.0).processor.can_adopt(old.processor)
    assert not build(lookahead_ms=5.0).processor.can_adopt(old.processor)
    new.processor.adopt(old.processor)
    for i in range(40):
        assert np.array_equal(new.run(noise(128, 2.0, seed=50 + i)), alone.run(noise(128, 2.0, seed=50 + i)))


@pytest.mark.parametrize("ceiling_db", [0.1, -12.1, float("nan")])
def test_a_ceiling_out_of_range_is_refused_by_name(ceiling_db: float) -> None:
    with pytest.raises(GraphError, match="ceiling_db"):
        LimiterNode(ceiling_db)
