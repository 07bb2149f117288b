"""The whole stage: what clashes gives way, what does not passes bit for bit."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from dsp.unmask import Unmask

RATES_HZ = (44100, 48000, 88200, 96000)
Samples = npt.NDArray[np.float32]


def band_noise(
    seconds: float, rate_hz: int, low_hz: float, high_hz: float, level: float, seed: int
) -> Samples:
    """Return noise of rms `level` that lies between two frequencies only."""
    frames = round(seconds * rate_hz)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(frames))
    frequency_hz = np.fft.rfftfreq(frames, 1 / rate_hz)
    spectrum[(frequency_hz < low_hz) | (frequency_hz > high_hz)] = 0.0
    one = np.fft.irfft(spectrum, frames)
    return (one * level / np.std(one)).astype(np.float32)


def bank(*tracks: Samples) -> Samples:
    """Return mono tracks as stereo lanes L0.. R0.."""
    return np.column_stack(tracks * 2)


def run(unmask: Unmask, x: Samples, quantum: int = 128) -> tuple[Samples, npt.NDArray[np.float64]]:
    """Return (y, cut_db after every quantum: (quanta, T, 25))."""
    y, cuts = np.full_like(x, np.nan), []
    for start in range(0, len(x), quantum):
        unmask.process(x[start : start + quantum], y[start : start + quantum])
        cuts.append(unmask.cut_db.astype(np.float64))
    return y, np.array(cuts)


def clash(rate_hz: int, seconds: float = 1.0) -> Samples:
    """Return speech-like and rain-like noise, both around 570 Hz, the second 10 dB louder."""
    voice = band_noise(seconds, rate_hz, 510, 630, 0.03, 1)
    rain = band_noise(seconds, rate_hz, 300, 1000, 0.1, 2)
    return bank(voice, rain)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_clash_at_570_hz_is_not_resolved(rate_hz: int) -> None:
    """The less important track loses 2 to 6 dB at 570 Hz while both sound, less than 0.01 before and after."""
    voice, rain = clash(rate_hz, 4.0)[:, 0].copy(), clash(rate_hz, 4.0)[:, 1]
    voice[: rate_hz // 2], voice[3 * rate_hz // 2 :] = 0.0, 0.0
    unmask = Unmask(2, rate_hz, 128)
    unmask.importance[:] = [0.9, 0.2]
    y, cuts = run(unmask, bank(voice, rain))
    at_570_hz = cuts[:, 1, 5]
    per_second = rate_hz / 128
    assert np.all(at_570_hz[: int(0.5 * per_second)] == 0.0)
    assert np.all(at_570_hz[int(0.6 * per_second) : int(1.5 * per_second)] < -2.0)
    assert np.all(at_570_hz[int(3.3 * per_second) :] > -0.01)
    assert cuts.min() >= -6.0
    assert np.all(cuts[:, 0] == 0.0)
    assert np.array_equal(y[:, [0, 2]], bank(voice, rain)[:, [0, 2]])
    assert np.array_equal(y[-rate_hz // 4 :], bank(voice, rain)[-rate_hz // 4 :])


def faded(x: Samples, start: int, stop: int) -> Samples:
    """Return x between two frames, with 50 ms fades (an abrupt edge is a click and clashes with everything)."""
    gain = np.interp(np.arange(len(x)), [start, start + 2400, stop - 2400, stop], [0.0, 1.0, 1.0, 0.0])
    return np.asarray(x * np.sin(gain * np.pi / 2) ** 2, dtype=np.float32)


def test_tracks_without_a_clash_are_changed() -> None:
    """Noise at 200 Hz beside noise at 5 kHz, and one 0.4 s after the other: output bit-equal to input."""
    low = band_noise(1.0, 48000, 150, 250, 0.1, 1)
    high = band_noise(1.0, 48000, 4000, 6000, 0.1, 2)
    together = bank(faded(low, 0, 48000), faded(high, 0, 48000))
    in_turn = bank(faded(low, 0, 14400), faded(low, 33600, 48000))
    for x in (together, in_turn):
        unmask = Unmask(2, 48000, 128)
        unmask.importance[:] = [1.0, 0.0]
        y, _ = run(unmask, x)
        assert np.array_equal(x.view(np.uint32), y.view(np.uint32))


def test_equals_fight() -> None:
    """With the importances of a new stage, all 0.5, the one that is buried passes bit for bit, the other gives 1 dB.

    It is 18 dB louder.
    """
    x = clash(48000)
    x[:, [0, 2]] *= 0.4
    y, cuts = run(Unmask(2, 48000, 128), x)
    assert np.array_equal(x[:, [0, 2]].view(np.uint32), y[:, [0, 2]].view(np.uint32))
    assert cuts[-1, 1].min() < -1.0


def test_amount_zero_still_cuts() -> None:
    """Amount 0 is bit exact from the start, and 2.5 s after it was turned down from 1."""
    x = clash(48000, 3.0)
    unmask = Unmask(2, 48000, 128)
    unmask.importance[:] = [1.0, 0.0]
    unmask.amount = 0.0
    assert np.array_equal(run(unmask, x[:12800])[0], x[:12800])
    unmask.amount = 1.0
    assert run(unmask, x[:12800])[1].min() < -2.0
    unmask.amount = 0.0
    y, _ = run(unmask, x)
    assert np.array_equal(y[-19200:], x[-19200:])


def test_delta_plays_something_else() -> None:
    """What is left and what is taken away add up to the input within 1e-6, from the first frame on."""
    x = clash(48000)
    heard = []
    for delta in (0.0, 1.0):
        unmask = Unmask(2, 48000, 128)
        unmask.importance[:] = [1.0, 0.0]
        unmask.delta = delta
        heard.append(run(unmask, x)[0])
    left, removed = heard
    assert np.abs(left + removed - x).max() < 1e-6
    assert np.abs(removed[:, 1]).max() > 0.01
    assert np.all(removed[:, [0, 2]] == 0.0)


def test_delta_clicks_or_stays() -> None:
    """Turned on and off again, a steady 100 Hz tone never steps by more than itself; then the bits are the input's."""
    t = np.arange(48_000) / 48_000
    x = bank((0.5 * np.sin(2 * np.pi * 100 * t)).astype(np.float32))
    unmask = Unmask(1, 48000, 128)
    y = np.empty_like(x)
    for n in range(0, len(x) - 128, 128):
        unmask.delta = 1.0 if 9600 <= n < 24_000 else 0.0
        unmask.process(x[n : n + 128], y[n : n + 128])
    y = y[: len(x) - 128]
    assert np.abs(np.diff(y, axis=0)).max() < 1.1 * np.abs(np.diff(x, axis=0)).max()
    assert np.all(y[11_000:24_000] == 0.0)
    assert np.array_equal(y[26_000:], x[26_000 : len(y)])


@pytest.mark.parametrize("quantum", [48, 128, 2048])
def test_what_is_shown_depends_on_the_quantum(quantum: int) -> None:
    """Every 16 control periods, energies and kept shares equal those of the stage at that very frame."""
    unmask, twin = Unmask(2, 48000, quantum), Unmask(2, 48000, 1)
    x = clash(48000, 0.5)
    for stage in (unmask, twin):
        stage.importance[:] = [1.0, 0.0]
    run(unmask, x[: 3 * 4096], quantum)
    run(twin, x[: 3 * 4096], 1)
    assert unmask.shown == twin.shown == 3
    assert np.array_equal(unmask.shown_energy, twin.energy)
    assert 10 * np.log10(unmask.shown_kept.T) == pytest.approx(twin.cut_db, abs=1e-4)
    assert unmask.shown_kept.min() < 0.7


def test_key_is_not_what_is_listened_to() -> None:
    """Sound that comes 512 frames later than its key is cut as the key asks: the bits of the cuts are the same."""
    x = clash(48000)
    stages = [Unmask(2, 48000, 128) for _ in range(2)]
    for stage in stages:
        stage.importance[:] = [1.0, 0.0]
    late = np.concatenate([np.zeros((512, 4), np.float32), x])[: len(x)]
    y = np.empty_like(x)
    for n in range(0, len(x) - 128, 128):
        stages[0].process(x[n : n + 128], y[n : n + 128])
        stages[1].process(late[n : n + 128], y[n : n + 128], x[n : n + 128])
        assert np.array_equal(stages[0].cut_db, stages[1].cut_db)
    assert stages[0].cut_db.min() < -2.0


def test_max_cut_does_nothing() -> None:
    """With 2 dB no cut is deeper than 2 dB, and the clash that wants more than 2 gets at least 1.8."""
    unmask = Unmask(2, 48000, 128)
    unmask.importance[:] = [1.0, 0.0]
    unmask.max_cut_db = 2.0
    cuts = run(unmask, clash(48000))[1]
    assert -2.0 <= cuts.min() <= -1.8


@pytest.mark.parametrize("parameter", ["attack_ms", "release_ms"])
def test_time_constant_does_nothing(parameter: str) -> None:
    """Ten times the default moves the cut over a burst by more than 0.5 dB somewhere."""
    x = clash(48000)
    x[24000:, [0, 2]] = 0.0
    curves = []
    for factor in (1.0, 10.0):
        unmask = Unmask(2, 48000, 128)
        unmask.importance[:] = [1.0, 0.0]
        setattr(unmask, parameter, factor * getattr(unmask, parameter))
        curves.append(run(unmask, x)[1][:, 1, 5])
    assert np.max(np.abs(curves[0] - curves[1])) > 0.5


QUANTA = (16, 32, 100, 128, 256, 1000, 1024, 2048)


def busy_scene(rate_hz: int = 48000) -> Samples:
    """Return 3.2 s of 4 tracks: noise that starts within a block, is silent for 1.4 s and comes back abruptly."""
    x = bank(*(band_noise(3.2, rate_hz, 100 * 2**n, 800 * 2**n, 0.02 * 2**n, n) for n in range(4)))
    x[: 3 * rate_hz // 100 + 7] = x[rate_hz // 2 + 13 : 19 * rate_hz // 10 + 5] = 0.0
    x[: rate_hz // 7, [1, 5]] = x[rate_hz // 3 : 2 * rate_hz, [2, 6]] = 0.0
    return x


def in_parts(x: Samples, lengths: list[int], switches: dict[int, float], tracks: int = 4) -> Samples:
    """Return y of x in parts of these lengths, over and over; amount is switched at the given frames."""
    unmask = Unmask(tracks, 48000, 2048)
    unmask.importance[:] = np.linspace(0.9, 0.1, tracks)
    y, start, turn = np.full_like(x, np.nan), 0, 0
    while start < len(x):
        unmask.amount = switches.get(start, unmask.amount)
        stop = min([start + lengths[turn % len(lengths)], len(x), *(f for f in switches if f > start)])
        unmask.process(x[start:stop], y[start:stop])
        start, turn = stop, turn + 1
    return y


def same_bits(x: Samples, y: Samples) -> bool:
    return np.array_equal(x.view(np.uint32), y.view(np.uint32))


@pytest.mark.parametrize("quantum", QUANTA)
def test_output_depends_on_the_quantum(quantum: int) -> None:
    """Every quantum gives the bits of parts of 37 frames, through starts in a block, gaps of 1.4 s and switching."""
    x, switches = busy_scene(), {0: 1.0, 100_000: 0.0, 112_345: 0.7}
    truth = in_parts(x, [37], switches)
    assert not same_bits(truth[-4800:], x[-4800:])
    assert same_bits(in_parts(x, [quantum], switches), truth)


@pytest.mark.parametrize("seed", range(4))
def test_output_depends_on_the_partition(seed: int) -> None:
    """Parts of random lengths, 1 to 2048 frames, give the bits of 128, for 1, 4 and 21 tracks."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, rng.choice([4, 40, 700, 2049]), 1000).tolist()
    assert same_bits(in_parts(busy_scene(), lengths, {}), in_parts(busy_scene(), [128], {}))
    for tracks in (1, 21):
        x = (rng.standard_normal((20000, 2 * tracks)) * np.geomspace(0.01, 0.3, 2 * tracks)).astype(
            np.float32
        )
        assert same_bits(in_parts(x, lengths, {}, tracks), in_parts(x, [128], {}, tracks))


@pytest.mark.parametrize("frames", [1, 100, 255, 256, 25_700])
def test_adopted_stage_loses_the_grid(frames: int) -> None:
    """A stage of the same tracks that takes over at any frame continues with the very bits of the old one."""
    x = clash(48000)
    old, new, whole = (Unmask(2, 48000, 128) for _ in range(3))
    for unmask in (old, new, whole):
        unmask.importance[:] = [0.9, 0.2]
    run(new, x[5000:5333])
    run(old, x[:frames])
    new.adopt(old, [0, 1])
    assert same_bits(run(new, x[frames:])[0], run(whole, x)[0][frames:])


@pytest.mark.parametrize("rate_hz", [8000, 22050, *RATES_HZ, 192000])
def test_control_runs_off_the_grid(rate_hz: int) -> None:
    """Cuts change every 5.33 ms, in whole units of 1 to 32 frames (a power of 2), and at no other frame."""
    unmask, x = Unmask(2, rate_hz, 1), clash(rate_hz, 0.2)
    unmask.importance[:] = [0.9, 0.2]
    unit = 2 ** int(np.log2(rate_hz / 5000))  # the bank's lowest rate is 5 to 10 kHz
    period = unit * round(256 * rate_hz / 48000 / unit)
    depths = []
    for frame in range(min(len(x), 20 * period)):
        unmask.process(x[frame : frame + 1], np.empty((1, 4), np.float32))
        depths.append(unmask.reduction_db.copy())
    changed = np.flatnonzero(np.any(np.diff(depths, axis=0) != 0.0, axis=1)) + 2
    assert len(changed) > 10
    assert np.all(changed % period == 0)


def test_process_allocates() -> None:
    """200 warm quanta have a memory peak below the bytes of one quantum (16 KiB)."""
    unmask = Unmask(16, 48000, 128)
    unmask.importance[:] = np.linspace(0, 1, 16)
    x = (0.1 * np.random.default_rng(1).standard_normal((128, 32))).astype(np.float32)
    y = np.empty_like(x)
    for _ in range(50):
        unmask.process(x, y)
    tracemalloc.start()
    for _ in range(200):
        unmask.process(x, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert unmask.reduction_db.min() < -1.0
    assert peak < x.nbytes


def test_adding_a_track_disturbs_the_others() -> None:
    """A silent third track added between two running ones changes their output by less than 1e-5."""
    x = clash(48000, 0.8)
    old, whole = Unmask(2, 48000, 128), Unmask(2, 48000, 128)
    for unmask in (old, whole):
        unmask.importance[:] = [0.9, 0.2]
    run(old, x[:25700])
    new = Unmask(3, 48000, 128)
    new.importance[:] = [0.9, 0.5, 0.2]
    new.adopt(old, [0, -1, 1])
    three = np.insert(x[25700:], [1, 3], 0.0, axis=1)
    y, cuts = run(new, np.ascontiguousarray(three))
    run(whole, x[:25700])
    truth, true_cuts = run(whole, x[25700:])
    assert true_cuts[0, 1].min() < -2.0
    assert y[:, [0, 2, 3, 5]] == pytest.approx(truth, abs=1e-5)
    assert cuts[:, [0, 2]] == pytest.approx(true_cuts, abs=1e-3)
    assert np.all(y[:, [1, 4]] == 0.0)


@pytest.mark.parametrize("frame", [0, 1, 256, 4095, 4096, 123_457])
@pytest.mark.parametrize("rate_hz", [44100, 48000])
def test_start_at_another_frame_moves_the_grid(rate_hz: int, frame: int) -> None:
    """A new stage, and one that was reset, begin at any frame with the bits of one that heard silence until then.

    What is shown is that of the same moments. Frame 0, and aligning later on, change nothing.
    """
    late, again, whole = (Unmask(2, rate_hz, 128) for _ in range(3))
    x = clash(rate_hz, 0.5)
    again.align(-(2**62))
    again.process(x[:100], np.empty_like(x[:100]))
    again.reset()
    for stage in (late, again, whole):
        stage.importance[:] = [1.0, 0.0]
    run(whole, np.zeros((frame, 4), np.float32))
    before = whole.shown
    truth, _ = run(whole, x)
    for stage in (late, again):
        stage.align(frame)
        y = np.empty_like(x)
        stage.process(x[:100], y[:100])
        stage.align(77)
        y[100:] = run(stage, x[100:])[0]
        assert same_bits(y, truth)
        assert not same_bits(y, x)
        assert stage.shown == whole.shown - before > 0
        assert np.array_equal(stage.shown_energy, whole.shown_energy)
    plain = Unmask(2, rate_hz, 128)
    plain.importance[:] = [1.0, 0.0]
    assert same_bits(run(plain, x)[0], truth) == (frame % plain.period_frames == 0)


def test_adopted_grid_is_moved() -> None:
    """A stage that took over one that has begun goes on with its bits, whatever frame it is aligned to."""
    x = clash(48000, 0.5)
    old, new = Unmask(2, 48000, 128), Unmask(2, 48000, 128)
    for stage in (old, new):
        stage.importance[:] = [1.0, 0.0]
    run(old, x[:9700])
    new.adopt(old, [0, 1])
    new.align(0)
    assert same_bits(run(new, x[9700:])[0], run(old, x[9700:])[0])


def peak_bytes(work: Callable[[], None]) -> int:
    """Return the most bytes that were held at a time in ten warm runs of `work`."""
    work()
    tracemalloc.start()
    for _ in range(10):
        work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_adoption_and_reset_of_tracks_allocate() -> None:
    """With 512 tracks, the memory peak is below 4 KiB, the bytes of one array of track numbers."""
    old, new = Unmask(512, 48000, 128), Unmask(513, 48000, 128)
    x = (0.1 * np.random.default_rng(1).standard_normal((128, 1024))).astype(np.float32)
    for _ in range(10):
        old.process(x, np.empty_like(x))
    mapping = np.arange(-1, 512)
    bad = np.arange(513) % 5 == 0
    assert peak_bytes(lambda: new.adopt(old, mapping)) < 4096
    assert peak_bytes(lambda: new.reset_tracks(bad)) < 4096
    assert np.count_nonzero(new.energy[8] > 1e-9) == 410


def test_wrong_mapping_is_adopted() -> None:
    """A mapping of the wrong length, beyond the old tracks, or another rate raises ValueError."""
    old = Unmask(2, 48000, 128)
    for mapping in ([0], [0, 2], [0, -2]):
        with pytest.raises(ValueError, match="mapping"):
            Unmask(2, 48000, 128).adopt(old, mapping)
    with pytest.raises(ValueError, match="rate"):
        Unmask(2, 44100, 128).adopt(old, [0, 1])


def test_buffer_of_the_wrong_shape_reaches_a_kernel() -> None:
    """Too many frames, another number of tracks or unequal buffers raise ValueError; fewer frames are fine."""
    unmask = Unmask(2, 48000, 128)
    for x_shape, y_shape in (((129, 4), (129, 4)), ((128, 6), (128, 6)), ((128, 4), (64, 4))):
        with pytest.raises(ValueError, match="into"):
            unmask.process(np.zeros(x_shape, np.float32), np.zeros(y_shape, np.float32))
    for frames in (0, 1, 127):
        unmask.process(np.zeros((frames, 4), np.float32), np.zeros((frames, 4), np.float32))


def test_extreme_input_makes_numbers_that_are_none() -> None:
    """Huge, tiny and bad samples leave everything finite; 4 s later energies are right to 1e-3, cuts to 1 dB.

    The bells may hold other bands than those of a stage that never met them.
    """
    rng = np.random.default_rng(4)
    unmask = Unmask(4, 48000, 128)
    unmask.importance[:] = [1.0, 0.7, 0.3, 0.0]
    levels = [1e-45, 1e-30, 1.0, 1e6, 3e38, np.inf, np.nan]
    for delta in (0.0, 1.0):
        unmask.delta = delta
        for _ in range(300):
            x = (rng.choice(levels, (128, 8)) * rng.choice([-1.0, 1.0], (128, 8))).astype(np.float32)
            y = np.empty_like(x)
            unmask.process(x, y)
            assert np.all(np.isfinite(y))
            assert np.all(np.isfinite(unmask.energy))
            assert np.all(np.isfinite(unmask.cut_db))
    x = np.ascontiguousarray(np.insert(clash(48000, 4.0), [2, 2, 4, 4], 0.0, axis=1))
    _, cuts = run(unmask, x)
    fresh = Unmask(4, 48000, 128)
    fresh.importance[:] = [1.0, 0.7, 0.3, 0.0]
    _, true_cuts = run(fresh, x)
    assert true_cuts[-1].min() < -2.0
    assert unmask.energy == pytest.approx(fresh.energy, rel=1e-3, abs=1e-12)
    assert cuts[-1].min(axis=1) == pytest.approx(true_cuts[-1].min(axis=1), abs=1.0)


@pytest.mark.parametrize("setting", ["amount", "max_cut_db", "attack_ms", "release_ms"])
def test_one_bad_setting_is_never_forgotten(setting: str) -> None:
    """After a second with a setting that is no number, good ones cut by more than 2 dB again."""
    x = clash(48000)
    unmask = Unmask(2, 48000, 128)
    unmask.importance[:] = [1.0, 0.0]
    good = getattr(unmask, setting)
    setattr(unmask, setting, float("nan"))
    assert np.all(np.isfinite(run(unmask, x)[0]))
    setattr(unmask, setting, good)
    assert run(unmask, x)[1][-1].min() < -2.0


@pytest.mark.parametrize("limit_db", [0.3, 0.59, 1.0])
def test_small_limit_means_none(limit_db: float) -> None:
    """A clash that wants more than 6 dB is cut by at least 0.9 of a limit below 1 dB, and never by more than it."""
    unmask = Unmask(2, 48000, 128)
    unmask.importance[:] = [1.0, 0.0]
    unmask.max_cut_db = limit_db
    _, cuts = run(unmask, clash(48000))
    assert -limit_db - 1e-6 <= cuts.min() <= -0.9 * limit_db


def test_adopted_stage_forgets_what_it_shows_and_plays() -> None:
    """What is shown stays, track by track, and delta goes on, bit for bit, whether it is on or being turned on."""
    x = clash(48000)
    for turned_at in (0, 9600):
        old, new = (Unmask(2, 48000, 128) for _ in range(2))
        y, z = np.empty((128, 4), np.float32), np.empty((128, 4), np.float32)
        for n in range(0, 9600 + 128, 128):
            for stage in (old, new):
                stage.importance[:] = [1.0, 0.0]
                stage.delta = 1.0 if n >= turned_at else 0.0
            old.process(x[n : n + 128], y)
        new.adopt(old, [0, 1])
        assert new.shown == old.shown > 0
        assert np.array_equal(new.shown_energy, old.shown_energy)
        assert np.array_equal(new.shown_kept, old.shown_kept)
        assert np.array_equal(new.target_db, old.target_db)
        for n in range(9728, 19_200, 128):
            old.process(x[n : n + 128], y)
            new.process(x[n : n + 128], z)
            assert np.array_equal(y, z)
            assert new.shown == old.shown
        old.reset()
        old.process(np.zeros((128, 4), np.float32), y)
        assert np.all(y == 0.0)


def test_bad_settings_make_numbers_that_are_none() -> None:
    """NaN, negative and huge settings leave the output finite and the cut within 6 dB."""
    x = clash(48000, 0.1)
    for bad in (np.nan, -5.0, 1e9, np.inf):
        unmask = Unmask(2, 48000, 128)
        unmask.importance[:] = [1.0, 0.0]
        unmask.amount = unmask.max_cut_db = unmask.attack_ms = unmask.release_ms = bad
        y, cuts = run(unmask, x)
        assert np.all(np.isfinite(y))
        assert cuts.min() >= -6.0


def test_reset_keeps_state() -> None:
    """After reset the same input gives the same bits as the first time."""
    unmask, x = Unmask(2, 48000, 128), clash(48000, 0.2)
    unmask.importance[:] = [1.0, 0.0]
    first = run(unmask, x)[0]
    unmask.reset()
    assert np.all(unmask.cut_db == 0.0)
    assert np.array_equal(run(unmask, x)[0], first)
    assert not np.array_equal(first, x)


def test_unmasking_boosts() -> None:
    """No track's energy in a quantum of 1024 frames rises by more than 1 % over that of its input."""
    rng = np.random.default_rng(6)
    x = np.ascontiguousarray(rng.standard_normal((48000, 12)) * np.geomspace(0.01, 0.3, 12), dtype=np.float32)
    unmask = Unmask(6, 48000, 128)
    unmask.importance[:] = rng.uniform(0, 1, 6)
    y = run(unmask, x)[0]
    before, after = (np.square(z[:47104].reshape(46, 1024, 12)).mean(axis=1) for z in (x, y))
    assert np.all(after <= 1.01 * before)
    assert np.any(after < 0.7 * before)
