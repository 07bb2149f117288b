"""The bells: never deeper than the limit, exact when idle, quiet when moving."""

import numpy as np
import numpy.typing as npt
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from dsp.bark import BANDS, CENTRES_HZ
from dsp.bells import LANES, ROWS, H
from dsp.dynamic_eq import DynamicEq, Q
from dsp.svf import bell, bell_response, cover, scan_covers, scan_margin

FOREVER_S = 1e12
GRID_HZ = np.geomspace(20.0, 20000.0, 1500)
Samples = npt.NDArray[np.float32]


def noise(frames: int, tracks: int, seed: int = 440) -> Samples:
    return (0.1 * np.random.default_rng(seed).standard_normal((frames, 2 * tracks))).astype(np.float32)


def wanted(tracks: int, *cuts: tuple[int, int, float]) -> Samples:
    """Return targets (T, 25) of 0 but for the given (track, band, dB)."""
    target_db = np.zeros((tracks, BANDS), np.float32)
    for track, band, cut_db in cuts:
        target_db[track, band] = cut_db
    return target_db


def run(
    eq: DynamicEq,
    x: Samples,
    target_db: Samples,
    attack_s: float = 0.02,
    limit: float = 6.0,
) -> Samples:
    """Return y of x, period by period, each in one part."""
    y = np.full_like(x, np.nan)
    for start in range(0, len(x), eq.period_frames):
        stop = start + eq.period_frames
        eq.steer(target_db, limit, attack_s, 0.2)
        eq.filter(x[start:stop], y[start:stop], 0)
    return y


def response_db(
    eq: DynamicEq, track: int, depth_db: npt.NDArray[np.float64], frequency_hz: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the analytic response of one track with the given depths."""
    product = np.ones(len(frequency_hz), np.complex128)
    for band, depth in zip(eq.band[track], depth_db, strict=True):
        product *= bell_response(CENTRES_HZ[band], Q, 10 ** (-depth / 20), frequency_hz, eq.rate_hz)
    return 20 * np.log10(np.abs(product))


def random_targets(rng: np.random.Generator, tracks: int) -> Samples:
    """Return targets of every kind: dense, sparse, single, all at the deepest."""
    target_db = -rng.uniform(0, 6, (tracks, BANDS))
    target_db[rng.uniform(size=(tracks, BANDS)) < rng.uniform()] = 0.0
    target_db[rng.uniform(size=tracks) < 0.2] = -6.0
    return target_db.astype(np.float32)


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), changes=st.integers(1, 12), rate_hz=st.sampled_from([44100, 48000, 96000])
)
def test_combined_curve_cuts_more_than_6_db(seed: int, changes: int, rate_hz: int) -> None:
    """After random targets in random order, the impulse response of 10 000 frozen filters is >= -6.05, <= 0.01 dB.

    80 examples of 125 tracks, each with targets of its own.
    """
    rng = np.random.default_rng(seed)
    tracks = 125
    silence, y = (np.zeros((64, 2 * tracks), np.float32) for _ in range(2))
    eq = DynamicEq(tracks, rate_hz, 512)
    for _ in range(changes):
        target_db = random_targets(rng, tracks)
        for _ in range(int(rng.integers(1, 8))):
            eq.steer(target_db, 6.0, 0.005, 0.02)
            for passed in range(0, 512, 64):
                eq.filter(silence, y, passed)
    impulse = np.zeros((16384, 2 * tracks), np.float32)
    impulse[0] = 1.0
    y = np.empty_like(impulse)
    eq.steer(target_db, 6.0, FOREVER_S, FOREVER_S)
    eq.filter(impulse, y, 0)
    curve_db = 20 * np.log10(np.abs(np.fft.rfft(y[:, :tracks].T.astype(np.float64))))
    assert curve_db.min() >= -6.05
    assert curve_db.max() <= 0.01


@pytest.mark.parametrize("period", [32, 256, 1024])
def test_limit_breaks_on_the_way_between_settings(period: int) -> None:
    """At 5 points of every ramp, gains taken linearly, the response stays >= -6.001 dB; it does reach -5.8."""
    rng = np.random.default_rng(7)
    eq, deepest = DynamicEq(4, 48000, period), 0.0
    for _ in range(25):
        target_db = random_targets(rng, 4)
        for _ in range(3):
            before = 10 ** (-eq.depth_db / 20)
            eq.steer(target_db, 6.0, 0.002, 0.01)
            after = 10 ** (-eq.depth_db / 20)
            for part in np.linspace(0, 1, 5):
                gain = before + part * (after - before)
                for track in range(4):
                    depth_db = -20 * np.log10(gain[track])
                    deepest = min(deepest, float(response_db(eq, track, depth_db, GRID_HZ).min()))
    assert -6.001 <= deepest <= -5.8


def test_scan_overlooks_a_deeper_point() -> None:
    """Between two scan points random bells within 6 dB are never deeper than the margin allows (0.05 dB)."""
    rng = np.random.default_rng(3)
    limit = 6.0 * np.log(10.0) / 10.0
    covers, starts = scan_covers(Q, 48000)
    fine_hz = np.geomspace(50.0, 17607.0, 20000)
    fine = np.array([cover(centre_hz, Q, fine_hz, 48000) for centre_hz in CENTRES_HZ])
    assert scan_margin(Q, limit) * 10 / np.log(10) < 0.05
    for band in range(BANDS):
        assert covers[band, starts[band]] == pytest.approx(1.0, abs=1e-9)
    for _ in range(300):
        bands = rng.choice(BANDS, 4, replace=False)
        u = rng.uniform(0, 0.75, 4)
        scanned = -np.log(1 - u[:, None] * covers[bands]).sum(axis=0).max()
        true = -np.log(1 - u[:, None] * fine[bands]).sum(axis=0).max()
        assert true <= scanned + scan_margin(Q, max(true, scanned)) + 1e-9


@pytest.mark.parametrize("tracks", [1, 9, 16, 40])
def test_parts_of_a_period_differ_from_the_whole(tracks: int) -> None:
    """Whole periods and periods in parts of 1 to 100 frames give the same bits, for full and partial blocks."""
    rng = np.random.default_rng(tracks)
    whole, parts = DynamicEq(tracks, 48000, 256), DynamicEq(tracks, 48000, 256)
    x, changed = noise(256, tracks), False
    for _ in range(20):
        y, z = np.empty_like(x), np.empty_like(x)
        target_db = random_targets(rng, tracks)
        for eq in (whole, parts):
            eq.steer(target_db, 6.0, 0.01, 0.02)
        whole.filter(x, y, 0)
        start = 0
        while start < 256:
            stop = min(256, start + int(rng.integers(1, 101)))
            parts.filter(x[start:stop], z[start:stop], start)
            start = stop
        assert np.array_equal(y.view(np.uint32), z.view(np.uint32))
        changed = changed or not np.array_equal(x, y)
    assert changed


def test_single_bell_misses_its_depth() -> None:
    """One wanted cut of 6 dB at 1 kHz settles at -5.7 to -6 dB there, and has the shape of a bell of Q 1.0."""
    eq = DynamicEq(2, 48000, 128)
    run(eq, noise(24000, 2), wanted(2, (1, 8, -6.0)))
    depth_db = eq.depth_db[1, 0]
    assert 5.7 < depth_db <= 6.0
    assert np.all(eq.depth_db[1, 1:] == 0.0)
    at_hz = np.array([1000.0, 2000.0, 8000.0])
    # Analog constant-pole bell, Q 1: |H|^2 = (G^2 + q) / (1 + q), q = (f / f0 - f0 / f)^2.
    q = (at_hz / 1000 - 1000 / at_hz) ** 2
    analog_db = 10 * np.log10((10 ** (-depth_db / 10) + q) / (1 + q))
    assert response_db(eq, 1, eq.depth_db[1], at_hz) == pytest.approx(analog_db, abs=0.05)
    assert eq.reduction_db == pytest.approx([0.0, -depth_db], abs=1e-3)


@pytest.mark.parametrize(("low", "high", "mean_db"), [(0, 24, 3.4), (4, 20, 4.4), (8, 12, 5.2)])
def test_bells_crowd_instead_of_covering(low: int, high: int, mean_db: float) -> None:
    """6 dB wanted over all bands, 17 or 5 of them: on average at least 3.4, 4.4 and 5.2 dB are cut there."""
    eq, target_db = DynamicEq(1, 48000, 256), np.zeros((1, BANDS), np.float32)
    target_db[0, low : high + 1] = -6.0
    for _ in range(400):
        eq.steer(target_db, 6.0, 0.02, 0.2)
    assert eq.cut_db[0, low : high + 1].mean() <= -mean_db


def test_meter_disagrees_with_the_curve() -> None:
    """`cut_db` equals the analytic response at the 25 centres to 1e-3 dB, `reduction_db` its minimum."""
    eq = DynamicEq(5, 48000, 128)
    run(eq, noise(6400, 5), random_targets(np.random.default_rng(5), 5))
    for track in range(5):
        curve_db = response_db(eq, track, eq.depth_db[track], CENTRES_HZ)
        assert eq.cut_db[track] == pytest.approx(curve_db, abs=1e-3)
        assert eq.reduction_db[track] == pytest.approx(curve_db.min(), abs=1e-3)


def lag(t_s: float, slow_s: float) -> float:
    """Return how much of a step is missing after a one-pole of `slow_s` and one twice as fast."""
    fast_s = slow_s / 2
    return float((slow_s * np.exp(-t_s / slow_s) - fast_s * np.exp(-t_s / fast_s)) / (slow_s - fast_s))


@pytest.mark.parametrize("period", [16, 64, 128, 256])
def test_attack_is_not_20_ms_or_release_not_200_ms(period: int) -> None:
    """Some 40 ms after a wanted cut of 6 dB starts, and 200 ms after it ends, the depth is right to 0.2 dB."""
    eq, target_db = DynamicEq(1, 48000, period), wanted(1, (0, 0, -6.0))
    attack, release = (frames // period * period for frames in (1920, 9600))
    run(eq, noise(attack, 1), target_db)
    assert eq.depth_db[0, 0] == pytest.approx(6 - 6 * lag(attack / 48000, 0.02), abs=0.2)
    run(eq, noise(19200, 1), target_db)
    assert eq.depth_db[0, 0] == pytest.approx(6.0, abs=0.01)
    run(eq, noise(release, 1), wanted(1))
    assert eq.depth_db[0, 0] == pytest.approx(6 * lag(release / 48000, 0.2), abs=0.2)


def test_moving_bell_splatters() -> None:
    """A full-scale 1 kHz tone cut by 5.7 dB or more with 5 ms attack leaves < -60 dB outside 700 .. 1400 Hz."""
    frames = 48000
    tone = np.sin(2 * np.pi * 1000 * np.arange(frames) / 48000)
    x = np.column_stack([tone, tone]).astype(np.float32)
    eq = DynamicEq(1, 48000, 128)
    y = np.concatenate([run(eq, x[:24064], wanted(1)), run(eq, x[24064:], wanted(1, (0, 8, -6.0)), 0.005)])
    spectrum = np.abs(np.fft.rfft(y[:, 0] * np.blackman(frames))) / (0.42 * frames / 2)
    frequency_hz = np.fft.rfftfreq(frames, 1 / 48000)
    outside = spectrum[(frequency_hz < 700) | (frequency_hz > 1400)]
    assert 20 * np.log10(np.sqrt(np.sum(outside**2) / 1.727)) < -60
    assert eq.reduction_db[0] < -5.7
    assert 20 * np.log10(np.ptp(y[-4800:]) / 2) == pytest.approx(eq.reduction_db[0], abs=0.01)


def test_limit_that_jumps_clicks() -> None:
    """A 60 Hz tone of 0.5 whose limit jumps between 0 and 6 dB: less than -60 dBFS above 360 Hz."""
    t = np.arange(96_000) / 48_000
    tone = (0.5 * np.sin(2 * np.pi * 60 * t)).astype(np.float32)
    x = np.column_stack([tone, tone])
    eq, y = DynamicEq(1, 48000, 256), np.empty_like(x)
    for n in range(0, len(x), 256):
        eq.steer(np.full((1, BANDS), -10.0, np.float32), 6.0 if n // 24_000 % 2 else 0.0, 0.02, 0.2)
        eq.filter(x[n : n + 256], y[n : n + 256], 0)
    above = scipy.signal.sosfilt(scipy.signal.butter(8, 360, "highpass", fs=48000, output="sos"), y[:, 0])
    assert eq.depth_db.max() > 1.0
    assert 20 * np.log10(np.abs(above[4800:]).max()) < -60.0


def test_idle_track_is_touched() -> None:
    """Beside a working track, idle ones pass bit for bit, even -0.0 and denormals."""
    x = noise(1280, 20)
    x[::7], x[::11] = -0.0, 1e-42
    y = run(DynamicEq(20, 48000, 128), x, wanted(20, (3, 8, -6.0)))
    idle = np.delete(np.arange(40), [3, 23])
    assert np.array_equal(x[:, idle].view(np.uint32), y[:, idle].view(np.uint32))
    assert not np.array_equal(x[:, [3, 23]], y[:, [3, 23]])


def test_released_track_stays_changed() -> None:
    """2 s after the wanted cut ends, the output equals the input bit for bit."""
    eq, x = DynamicEq(2, 48000, 128), noise(4800, 2)
    run(eq, x, wanted(2, (0, 8, -6.0), (1, 3, -4.0)))
    run(eq, noise(96000, 2), wanted(2))
    assert np.array_equal(run(eq, x, wanted(2)).view(np.uint32), x.view(np.uint32))
    assert np.all(eq.depth_db == 0.0)
    assert np.all(eq.cut_db == 0.0)
    assert np.all(eq.reduction_db == 0.0)


def test_restarted_bell_remembers_old_sound() -> None:
    """A bell that worked, fell idle and starts again gives the bits of a fresh one."""
    eq = DynamicEq(1, 48000, 128)
    run(eq, noise(9600, 1), wanted(1, (0, 8, -6.0)))
    run(eq, noise(96000, 1), wanted(1))
    x = noise(4800, 1, seed=2)
    again = run(eq, x, wanted(1, (0, 2, -5.0)))
    assert np.array_equal(again, run(DynamicEq(1, 48000, 128), x, wanted(1, (0, 2, -5.0))))


@pytest.mark.parametrize("seed", [11, 13, 16])
def test_bell_changes_band_while_it_cuts(seed: int) -> None:
    """Over 400 quanta of changing targets a band index only changes where the depth was exactly 0; no two are equal."""
    rng = np.random.default_rng(seed)
    eq, changes = DynamicEq(8, 48000, 128), 0
    for step in range(400):
        if step % 5 == 0:
            target_db = random_targets(rng, 8)
        band, depth_db = eq.band.copy(), eq.depth_db.copy()
        eq.steer(target_db, 6.0, 0.01, 0.02)
        changed = eq.band != band
        changes += int(changed.sum())
        assert np.all(depth_db[changed] == 0.0)
        for held, depth in zip(eq.band, eq.depth_db, strict=True):
            working = held[depth > 0]
            assert len(set(working.tolist())) == len(working)
    assert changes > 20


def test_kernel_differs_from_the_textbook_recurrence() -> None:
    """Output equals y = x - (1 - G) k v1 in float64, sample by sample in plain Python, to 1e-5."""
    x, tracks, quantum = noise(512, 3), 3, 64
    target_db = random_targets(np.random.default_rng(2), tracks)
    eq, y = DynamicEq(tracks, 48000, quantum), np.empty_like(x)
    state = np.zeros((tracks, 4, 2, 2))
    removed = np.zeros((tracks, 4))
    truth = x.astype(np.float64)
    for start in range(0, 512, quantum):
        eq.steer(target_db, 6.0, 0.005, 0.2)
        eq.filter(x[start : start + quantum], y[start : start + quantum], 0)
        end = 1 - 10 ** (-eq.depth_db / 20)
        for track in range(tracks):
            for slot in range(4):
                g, k = bell(CENTRES_HZ[eq.band[track, slot]], Q, 48000)
                if removed[track, slot] == 0.0:
                    state[track, slot] = 0.0  # an idle bell starts anew
                for side in range(2):
                    s1, s2 = state[track, slot, side]
                    for i in range(quantum):
                        sample = truth[start + i, side * tracks + track]
                        v1 = (s1 + g * (sample - s2)) / (1 + g * (g + k))
                        v2 = s2 + g * v1
                        s1, s2 = 2 * v1 - s1, 2 * v2 - s2
                        ramp = removed[track, slot] + (i + 1) / quantum * (end - removed)[track, slot]
                        truth[start + i, side * tracks + track] -= ramp * k * v1
                    state[track, slot, side] = s1, s2
        removed = end
    assert np.count_nonzero(eq.depth_db) >= 6
    assert y == pytest.approx(truth, abs=1e-5)


def test_first_output_comes_late() -> None:
    """An impulse leaves a working bell at the same sample."""
    eq = DynamicEq(1, 48000, 128)
    run(eq, np.zeros((9600, 2), np.float32), wanted(1, (0, 8, -6.0)))
    impulse = np.zeros((128, 2), np.float32)
    impulse[40] = 1.0
    y = run(eq, impulse, wanted(1, (0, 8, -6.0)))
    assert np.max(np.abs(y[:40])) < 1e-12
    assert y[40, 0] > 0.9


@pytest.mark.parametrize("bad", [np.nan, np.inf, 3e38])
def test_bad_sample_lives_on_in_a_bell(bad: float) -> None:
    """A sample that is no sound acts as 0, in working and in idle tracks, in that quantum and after it."""
    good = noise(640, 2)
    good[30] = 0.0
    poisoned = good.copy()
    poisoned[30] = bad
    target_db = wanted(2, (0, 8, -6.0))
    assert np.array_equal(
        run(DynamicEq(2, 48000, 128), poisoned, target_db), run(DynamicEq(2, 48000, 128), good, target_db)
    )


def test_random_gain_runs_away() -> None:
    """10 s of noise under targets that jump every quantum, attack and release at once: never above the input."""
    rng = np.random.default_rng(9)
    eq, x = DynamicEq(4, 48000, 128), noise(128, 4)
    y, peak = np.empty_like(x), 0.0
    for _ in range(3750):
        eq.steer(random_targets(rng, 4), 6.0, 0.0, 0.0)
        eq.filter(x, y, 0)
        peak = max(peak, float(np.abs(y).max()))
    assert peak < 2 * np.abs(x).max()


def test_lowered_limit_is_ignored() -> None:
    """With a limit of 2 dB nothing passes -2.0 dB; lowering it from 6 is a release, not a jump."""
    eq, target_db = DynamicEq(1, 48000, 128), np.full((1, BANDS), -6.0, np.float32)
    run(eq, noise(24000, 1), target_db)
    before = float(eq.reduction_db[0])
    run(eq, noise(128, 1), target_db, limit=2.0)
    assert before < -5.5
    assert eq.reduction_db[0] < before + 0.5
    run(eq, noise(96000, 1), target_db, limit=2.0)
    assert -2.01 <= response_db(eq, 0, eq.depth_db[0], GRID_HZ).min() <= -1.8


def test_small_wish_takes_a_bell() -> None:
    """A wanted cut of 0.9 dB starts nothing; 1.1 dB starts a bell."""
    eq, x = DynamicEq(2, 48000, 16), noise(4800, 2)
    y = run(eq, x, wanted(2, (0, 0, -0.9), (1, 0, -1.1)))
    assert np.array_equal(x[:, [0, 2]], y[:, [0, 2]])
    assert eq.depth_db[1, 0] == pytest.approx(1.1, abs=0.05)


def test_wish_around_the_onset_chatters() -> None:
    """A wish that swings between 0.6 and 1.4 dB every 50 ms starts one bell once, and it never stops."""
    eq = DynamicEq(1, 48000, 240)
    starts = 0
    for step in range(400):
        idle = eq.depth_db[0, 0] == 0.0
        eq.steer(wanted(1, (0, 0, -1.0 - 0.4 * np.cos(np.pi * (step // 10)))), 6.0, 0.02, 0.2)
        starts += int(idle and eq.depth_db[0, 0] > 0.0)
    assert starts == 1
    assert eq.depth_db[0, 0] > 0.5


def test_silence_makes_denormals_in_a_bell() -> None:
    """In 1 s of silence under a working 13.5 kHz and a 50 Hz bell no integrator is ever denormal."""
    eq, target_db = DynamicEq(1, 48000, 480), wanted(1, (0, 0, -6.0), (0, 23, -6.0))
    run(eq, noise(4800, 1), target_db)
    for _ in range(100):
        run(eq, np.zeros((480, 2), np.float32), target_db)
        state = np.abs(eq._lanes[:, :, H:])
        assert np.all((state == 0) | (state > np.finfo(np.float32).tiny))


def begun(tracks: int, seed: int) -> tuple[DynamicEq, Samples, Samples]:
    """Return an EQ in the 100th frame of its 30th period, the targets of that period and its sound."""
    eq, target_db, x = (
        DynamicEq(tracks, 48000, 256),
        random_targets(np.random.default_rng(seed), tracks),
        noise(256, tracks),
    )
    target_db[::3] = 0.0
    for _ in range(30):
        eq.steer(target_db, 6.0, 0.02, 0.2)
        eq.filter(x, np.empty_like(x), 0)
    eq.steer(target_db, 6.0, 0.02, 0.2)
    eq.filter(x[:100], np.empty_like(x[:100]), 0)
    return eq, target_db, x


def go_on(eq: DynamicEq, target_db: Samples, x: Samples) -> Samples:
    """Return the rest of the period, and five more."""
    y = np.empty((6 * 256, x.shape[1]), np.float32)
    eq.filter(x[100:], y[100:256], 100)
    for n in range(256, len(y), 256):
        eq.steer(target_db, 6.0, 0.02, 0.2)
        eq.filter(x, y[n : n + 256], 0)
    return y[100:]


@pytest.mark.parametrize(("before", "now"), [(40, 45), (45, 40), (16, 16), (8, 9), (9, 8)])
def test_adopted_tracks_differ_from_their_own_past(before: int, now: int) -> None:
    """Tracks that go on elsewhere, within a period, give the very bits of where they stood; new ones pass untouched.

    So do their depths, curves and cuts; whatever worked in the adopting EQ before is gone.
    """
    old, old_target_db, old_x = begun(before, 1)
    new, target_db, x = begun(now, 2)
    numbers = np.random.default_rng(now).permutation(max(before, now))[:now]
    mapping = np.where(numbers < before, numbers, -1)
    mapping[now // 2] = -1
    kept = np.flatnonzero(mapping >= 0)
    theirs = mapping[kept]
    new.adopt(old, mapping)
    assert np.array_equal(new.cut_db[kept], old.cut_db[theirs])
    assert np.array_equal(new.reduction_db[kept], old.reduction_db[theirs])
    target_db[:] = 0.0
    target_db[kept] = old_target_db[theirs]
    x[:, np.r_[kept, now + kept]] = old_x[:, np.r_[theirs, before + theirs]]
    y, truth = go_on(new, target_db, x), go_on(old, old_target_db, old_x)
    assert np.array_equal(y[:, np.r_[kept, now + kept]], truth[:, np.r_[theirs, before + theirs]])
    assert np.array_equal(new.depth_db[kept], old.depth_db[theirs])
    fresh = np.flatnonzero(np.r_[mapping, mapping] < 0)
    assert np.array_equal(y[:156, fresh], x[100:, fresh])
    assert np.all(new.depth_db[mapping < 0] == 0.0)
    assert new.depth_db[kept].max() > 1.0


def test_reset_of_some_tracks_disturbs_the_others() -> None:
    """Of 20 tracks 3 are poisoned and reset within a period: the others' bits are those of before.

    The 3 pass untouched until the period ends, and then give the bits of fresh bells.
    """
    (eq, target_db, x), (twin, _, _) = begun(20, 1), begun(20, 1)
    fresh = DynamicEq(20, 48000, 256)
    bad = np.zeros(20, np.bool_)
    bad[[1, 7, 19]] = True
    lanes, others = np.flatnonzero(np.r_[bad, bad]), np.flatnonzero(~np.r_[bad, bad])
    blocks = eq._lanes.reshape(-1, eq.bells, ROWS, LANES)
    blocks[lanes // LANES, :, H // LANES :, lanes % LANES] = np.nan
    y = np.empty_like(x[:1])
    eq.filter(x[:1], y, 100)
    assert np.all(np.isnan(y[0, lanes]))
    twin.filter(x[:1], y, 100)
    eq.reset_tracks(bad)
    assert np.all(eq.depth_db[bad] == 0.0)
    assert np.all(eq.cut_db[bad] == 0.0)
    assert np.all(eq.reduction_db[bad] == 0.0)
    z, truth, first = (go_on(e, target_db, x) for e in (eq, twin, fresh))
    assert np.array_equal(z[:, others], truth[:, others])
    assert np.array_equal(z[:156, lanes], x[100:, lanes])
    assert np.array_equal(z[156:, lanes], first[156:, lanes])
    assert not np.array_equal(truth[156:, lanes], first[156:, lanes])
