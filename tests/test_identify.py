"""Mix settings found between two sounds whose mix is known, made by pedalboard; pairs that are none; the kernels."""

from dataclasses import replace

import numpy as np
import pedalboard
import pytest
from numpy.typing import NDArray

from benchmarks.peers.mixed_pairs import RATE_HZ, Mix, at_level, draw, procedural
from dsp.identify_kernels import FALLING, RISING, SLOPE, THRESHOLD, bend_levels, block_envelopes, block_levels
from engine.errors import InputError
from engine.learn.bands import BANDS, CENTRES_HZ
from engine.learn.compressor_fit import Settings
from engine.learn.equaliser import Q, curve_db
from engine.learn.likeness import Likeness
from engine.learn.match import Match, match_pair
from engine.learn.pair import clipped, coherence, find_lag, make_pair
from engine.learn.reference import match_reference
from engine.media.decode import resample

Samples = NDArray[np.float32]
HZ = np.geomspace(40.0, 16_000.0, 120)
FLAT = np.zeros(BANDS)
HARD = Mix(3.0 * np.sin(np.arange(BANDS) / 4.0), -30.0, 4.0, 20.0, 150.0, 5.0, -20.0)


def sound(seed: int = 3, level_dbfs: float = -20.0) -> Samples:
    return at_level(procedural(np.random.default_rng([seed, 1])), level_dbfs)


def eq_error_db(match: Match, mix: Mix, rate_hz: float = RATE_HZ) -> float:
    off = curve_db(match.filters_db, HZ, rate_hz) - curve_db(mix.eq_db, HZ, rate_hz)
    return float(np.mean(np.abs(off - np.median(off))))


@pytest.mark.parametrize(
    ("threshold_db", "ratio", "attack_ms", "release_ms"),
    [
        (-35.0, 8.0, 0.5, 20.0),
        (-24.0, 2.0, 10.0, 200.0),
        (-40.0, 20.0, 150.0, 1000.0),
        (-3.0, 1.2, 0.0005, 50.0),
    ],
)
@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_the_compressor_is_not_pedalboards(
    threshold_db: float, ratio: float, attack_ms: float, release_ms: float, rate_hz: int
) -> None:
    """Within -100 dB of the loudest sample, in both channels of a sound with loud and soft parts."""
    x = np.concatenate([sound(1, -15.0), sound(2, -35.0)], axis=1)[:60_000]
    wanted = pedalboard.Compressor(threshold_db, ratio, attack_ms, release_ms)(
        np.ascontiguousarray(x.T), rate_hz
    )
    found = Settings(threshold_db, ratio, attack_ms, release_ms, (0.0, 0.0)).applied(x, rate_hz)
    assert np.abs(found - wanted.T).max() < 1e-5 * np.abs(wanted).max()


def test_what_a_compressor_did_is_not_undone() -> None:
    """What comes back is within -100 dB of what went in."""
    x = sound(1)[:50_000]
    settings = Settings(-30.0, 5.0, 3.0, 90.0, (4.0,))
    back = settings.taken_out(settings.applied(x, RATE_HZ), x, RATE_HZ)
    assert np.abs(back - x).max() < 1e-5 * np.abs(x).max()


def test_the_equaliser_is_not_pedalboards() -> None:
    """The spectrum of an impulse through 31 of its filters, within 0.25 dB from 40 Hz on, 0.05 dB from 100 Hz on.

    At 20 Hz its float32 coefficients are coarse.
    """
    mix = draw(np.random.default_rng(5))
    board = pedalboard.Pedalboard(  # type: ignore[attr-defined]
        [pedalboard.PeakFilter(float(f), float(g), Q) for f, g in zip(CENTRES_HZ, mix.eq_db, strict=True)]
    )
    impulse = np.zeros((1, 1 << 17), np.float32)
    impulse[0, 0] = 1.0
    spectrum = np.fft.rfft(board(impulse, RATE_HZ)[0].astype(np.float64))
    wanted = 20.0 * np.log10(np.abs(spectrum))
    at_hz = np.arange(len(wanted)) * RATE_HZ / (1 << 17)
    off = np.abs(curve_db(mix.eq_db, HZ, RATE_HZ) - np.interp(HZ, at_hz, wanted))
    assert off.max() < 0.25
    assert off[HZ > 100.0].max() < 0.05


def test_a_slope_of_the_levels_is_wrong() -> None:
    """All four within 1 % of central differences of the same levels, summed over the blocks."""
    x = sound(4)[:40_000]
    block = 44
    shape = (1, len(x) // block)
    point = np.array([0.6, -3.5, 0.9, 0.999])

    def at(p: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        levels, bends, reductions = np.empty(shape), np.empty((*shape, 4)), np.empty(shape)
        bend_levels(x, p[2], p[3], p[1], p[0], block, 1, levels, bends, reductions)
        return levels, bends

    bends = at(point)[1]
    for k, step in ((SLOPE, 1e-5), (THRESHOLD, 1e-5), (RISING, 1e-6), (FALLING, 1e-8)):
        move = np.zeros(4)
        move[k] = step
        wanted = (at(point + move)[0] - at(point - move)[0]) / (2.0 * step)
        scale = np.abs(wanted).sum()
        assert scale > 0.0
        assert np.abs(bends[..., k] - wanted).sum() < 0.01 * scale


def test_blocks_measure_another_level_or_envelope() -> None:
    """Within 0.001 dB of numpy's mean square; of the recursion in float64 within 0.001 dB."""
    x = sound(4)[:8_800]
    levels = np.empty((1, 200))
    block_levels(x, 44, levels)
    wanted = 10.0 * np.log10(np.square(x[:, 0], dtype=np.float64).reshape(200, 44).mean(axis=1) + 1e-30)
    assert np.abs(levels[0] - wanted).max() < 1e-3
    rising, falling = np.full(8, 0.8, np.float32), np.full(8, 0.995, np.float32)
    found = np.empty((8, 1, 200))
    block_envelopes(x, rising, falling, 44, found)
    s, follow = 0.0, []
    for v in np.abs(x[:, 0].astype(np.float64)):
        s = v + (float(rising[0]) if v > s else float(falling[0])) * (s - v)
        follow.append(s)
    wanted = 20.0 * np.log10(np.array(follow).reshape(200, 44).mean(axis=1) + 1e-15)
    assert np.abs(found - wanted).max() < 1e-3


@pytest.mark.parametrize("seed", range(4))
def test_known_settings_are_not_found(seed: int) -> None:
    """EQ within 0.1 dB, ratio 1 %, attack 30 %, release 10 %, loudness 0.05 LU, level 0.1 dB."""
    rng = np.random.default_rng([40, seed])
    mix = replace(draw(rng), threshold_db=-32.0)
    raw = at_level(procedural(rng), -16.0)
    found = match_pair(raw, RATE_HZ, mix.applied(raw), RATE_HZ)
    assert eq_error_db(found, mix) < 0.1
    assert found.reduction_db > 2.0
    assert found.ratio == pytest.approx(mix.ratio, rel=0.01)
    assert found.attack_ms == pytest.approx(mix.attack_ms, rel=0.3)
    assert found.release_ms == pytest.approx(mix.release_ms, rel=0.1)
    assert abs(found.measures["loudness_lu"]) < 0.05
    assert found.measures["level_db"] < 0.1
    assert found.measures["stft_distance"] < 0.1 * found.measures["stft_distance_before"]
    assert abs(found.eq_db.mean()) < 1e-9


def test_gain_alone_becomes_an_equaliser_or_a_compressor() -> None:
    """-7.5 dB: EQ within 0.05 dB of flat, gain within 0.01 dB, and nothing claimed of a compressor."""
    raw = sound()
    found = match_pair(raw, RATE_HZ, raw * np.float32(10.0 ** (-7.5 / 20.0)), RATE_HZ)
    assert np.abs(found.eq_db).max() < 0.05
    assert found.gain_db == pytest.approx(-7.5, abs=0.01)
    assert (found.threshold_db, found.ratio, found.attack_ms, found.release_ms) == (None, None, None, None)
    assert found.confidence["ratio"] == 0.0
    assert found.reduction_db < 0.5


def test_little_reduction_tells_a_ratio() -> None:
    """1 dB of gain reduction: ratio and times are unknown, and it says so."""
    raw = sound(7)
    mix = replace(HARD, eq_db=FLAT, threshold_db=-24.0, ratio=1.1, attack_ms=1.0)
    found = match_pair(raw, RATE_HZ, mix.applied(raw), RATE_HZ)
    assert 0.0 < found.reduction_db <= 2.0
    assert found.ratio is None
    assert found.attack_ms is None
    assert any("gain reduction" in note for note in found.notes)


@pytest.mark.parametrize("lag", [-900, 1, 400, 2_000])
def test_a_lag_goes_into_the_settings(lag: int) -> None:
    """Up to 50 ms either way is found to the frame, and the settings are those without it."""
    raw = sound(5)
    mixed = HARD.applied(raw)
    mixed = mixed[-lag:] if lag < 0 else np.pad(mixed, ((lag, 0), (0, 0)))
    found = match_pair(raw, RATE_HZ, mixed, RATE_HZ)
    assert found.facts["lag_ms"] == pytest.approx(1000.0 * lag / RATE_HZ, abs=0.001)
    assert eq_error_db(found, HARD) < 0.1
    assert found.ratio == pytest.approx(HARD.ratio, rel=0.02)


def test_polarity_channels_rate_and_length_go_into_the_settings() -> None:
    """Mono at 48 kHz, its mix in inverted stereo at 44.1 kHz, right 4 dB down and cut short: all within bounds."""
    raw = sound(6)
    mixed = -HARD.applied(raw)[:150_000]
    mixed = np.concatenate([mixed, mixed * np.float32(10.0 ** (-4.0 / 20.0))], axis=1)
    found = match_pair(resample(raw, 44_100.0, 48_000.0), 48_000.0, mixed, 44_100.0)
    assert found.facts["inverted"]
    assert found.facts["rate_hz"] == 44_100.0
    assert found.balance_db == pytest.approx(4.0, abs=0.02)
    assert eq_error_db(found, HARD) < 0.3
    assert found.ratio == pytest.approx(HARD.ratio, rel=0.05)
    assert found.attack_ms == pytest.approx(HARD.attack_ms, rel=0.1)
    assert any("polarity" in note for note in found.notes)


def test_clipping_goes_into_the_settings() -> None:
    """3 % of the frames at full scale: noted, and the ratio is found within 5 % all the same."""
    raw = sound(6)
    mixed = HARD.applied(raw)
    mixed = np.clip(mixed / np.quantile(np.abs(mixed), 0.97), -1.0, 1.0).astype(np.float32)
    found = match_pair(raw, RATE_HZ, mixed, RATE_HZ)
    assert found.facts["clipped"] > 0.001
    assert any("clipped" in note for note in found.notes)
    assert found.ratio == pytest.approx(HARD.ratio, rel=0.05)


def test_a_long_pair_is_looked_at_whole_or_from_a_wrong_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 16 s the loudest 6, if that is the most; the envelope of what was before does not show."""
    monkeypatch.setattr("engine.learn.pair.MOST_S", 6.0)
    raw = np.concatenate([sound(9, -40.0)] + [sound(s, -18.0) for s in range(10, 13)])
    found = match_pair(raw, RATE_HZ, HARD.applied(raw), RATE_HZ)
    assert found.facts["duration_s"] == 6.0
    assert found.ratio is not None
    assert found.ratio == pytest.approx(HARD.ratio, rel=0.02)
    assert eq_error_db(found, HARD) < 0.1


@pytest.mark.parametrize("case", ["other sound", "far apart", "silent", "short", "not finite"])
def test_what_is_no_pair_is_matched(case: str) -> None:
    raw, mixed = sound(1), HARD.applied(sound(1))
    if case == "other sound":
        mixed = sound(2)
    elif case == "far apart":
        mixed = np.pad(mixed, ((4_410, 0), (0, 0)))
    elif case == "silent":
        mixed = mixed * np.float32(1e-7)
    elif case == "short":
        raw, mixed = raw[:5_000], mixed[:5_000]
    else:
        mixed[100] = np.nan
    reasons = {
        "other sound": "do not belong together",
        "far apart": r"\+100 ms",
        "silent": "is silent",
        "short": "too short",
        "not finite": "not a finite sound",
    }
    with pytest.raises(InputError, match=reasons[case]):
        match_pair(raw, RATE_HZ, mixed, RATE_HZ)


def test_coherence_says_yes_to_strangers_or_no_to_a_mix() -> None:
    """Below 0.3 for two noises of 0.5 s and more; above 0.6 for a sound through 20 to 1."""
    rng = np.random.default_rng(1)
    for frames in (22_050, 176_400):
        a, b = (rng.standard_normal((frames, 1)).astype(np.float32) for _ in range(2))
        assert coherence(a, b) < 0.3
    hard = replace(HARD, threshold_db=-45.0, ratio=20.0)
    assert coherence(sound(1), hard.applied(sound(1))) > 0.6


def test_a_lag_or_clipping_is_misjudged() -> None:
    raw = sound(2)
    assert find_lag(raw, np.roll(raw, 321, axis=0), RATE_HZ) == 321
    assert find_lag(raw, -raw, RATE_HZ) == 0
    x = np.zeros((100, 2), np.float32)
    x[10:13, 0] = 1.0
    x[[20, 21, 33, 34], 1] = [-1.0, 1.0, 1.0, -1.0]
    assert np.flatnonzero(clipped(x)).tolist() == [20, 21, 33, 34]
    pair = make_pair(raw, RATE_HZ, np.roll(raw, 10, axis=0), RATE_HZ).shifted(-10)
    assert len(pair.raw) == len(pair.mixed) == len(pair.usable) == len(raw) - 20


def test_likeness_of_a_sound_to_itself_is_not_0() -> None:
    x = sound(2)
    assert Likeness(x).distance(x) == 0.0
    assert Likeness(x).distance(x * np.float32(0.5)) > 0.5


def test_a_reference_has_the_equaliser_leave_its_bounds() -> None:
    """Towards a sound 20 dB brighter: at most 6 dB, zero mean, nearer than before; ratio and times unknown."""
    raw = sound(12)
    spectrum = np.fft.rfft(procedural(np.random.default_rng([13, 1]))[:, 0])
    hz = np.maximum(np.fft.rfftfreq(len(raw), 1.0 / RATE_HZ), 50.0)
    bright = at_level(
        np.fft.irfft(spectrum * (hz / 1000.0) ** 1.5, len(raw))[:, None].astype(np.float32), -12.0
    )
    found = match_reference(raw, RATE_HZ, bright, RATE_HZ)
    assert np.abs(found.eq_db).max() <= 6.0
    assert abs(found.eq_db.mean()) < 1e-9
    assert found.measures["spectrum_db"] < found.measures["spectrum_db_before"]
    assert (found.threshold_db, found.ratio, found.attack_ms, found.release_ms) == (None, None, None, None)
    assert 0.0 <= found.reduction_db <= 12.0
    assert any("do not tell" in note for note in found.notes)


def test_a_reference_that_is_the_sound_itself_changes_it() -> None:
    """6 dB louder: a gain of 6 dB within 0.05, EQ within 0.1 dB of flat, no gain reduction."""
    raw = sound(12)
    found = match_reference(raw, RATE_HZ, raw * np.float32(2.0), RATE_HZ)
    assert found.gain_db == pytest.approx(6.02, abs=0.05)
    assert np.abs(found.eq_db).max() < 0.1
    assert found.reduction_db < 0.1
