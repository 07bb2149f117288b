"""Treatments that are not what was done, or judged on what was learned."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.model.clip import RATE, Clip
from benchmarks.model.family_spectra import STEMS, curve_db, spectrum_db
from benchmarks.model.fit_treatment import errors_db, out_of_fold
from benchmarks.model.treated import LEFT_ALONE, Treatments, mixes, reduction_db, shape_db, table
from benchmarks.peers.mixed_pairs import draw
from engine.learn.bands import BANDS, CENTRES_HZ
from engine.learn.families import FAMILIES
from engine.learn.features import schema


def noise(group: str = "a") -> Clip:
    rng = np.random.default_rng([1, *group.encode()])
    return Clip("voice", group, (0.1 * rng.standard_normal((RATE, 1))).astype(np.float32))


def test_the_gain_reduction_is_not_what_the_compressor_takes() -> None:
    """A constant 20 dB above the threshold at 4:1 is reduced by 15 dB, by pedalboard: measured within 0.05 dB."""
    x = np.full((RATE * 2, 1), 0.5, np.float32)
    mix = replace(
        draw(np.random.default_rng(0)), threshold_db=-26.02, ratio=4.0, attack_ms=5.0, release_ms=50.0
    )
    assert reduction_db(x, mix.compressed(x)) == pytest.approx(15.0, abs=0.05)


def test_the_curve_is_not_that_of_the_equaliser() -> None:
    """One filter of +8 dB at 1 kHz, heard through noise by pedalboard: its curve within 0.3 dB, of zero mean."""
    gains = np.zeros(BANDS)
    gains[17] = 8.0
    mix = replace(draw(np.random.default_rng(0)), eq_db=gains)
    impulse = np.zeros((RATE, 1), np.float32)
    impulse[0] = 0.5
    heard = np.abs(np.fft.rfft(mix.equalised(impulse)[:, 0])) / 0.5
    at = np.round(CENTRES_HZ[3:29]).astype(int)
    curve = shape_db(mix)
    assert abs(curve.mean()) < 1e-9
    off = curve[3:29] - 20.0 * np.log10(heard[at])
    assert np.ptp(off) < 0.3


def test_every_sound_is_treated_or_none_is_the_same_again() -> None:
    """One of four is left alone; the same seed gives the same rows, another one others."""
    clip = noise()
    alone = [mix.ratio == 1.0 for _, mix in mixes(clip, 8, 3)]
    assert alone == [k % LEFT_ALONE == LEFT_ALONE - 1 for k in range(8)]
    one, two, other = (table([clip], 4, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.features, two.features)
    assert not np.array_equal(one.curves_db, other.curves_db)
    assert one.alone.tolist() == [False, False, False, True]
    assert not one.curves_db[3].any()
    assert one.reductions_db[3] == 0.0


def test_a_group_is_learned_and_judged_at_once() -> None:
    """Truth that only the group tells: unknown to other groups, R² below 0.1; torn apart, above 0.9."""
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(30), 8)
    centres = rng.standard_normal((30, len(schema()))) * 20.0
    truth = rng.uniform(0.0, 20.0, 30)[groups]
    rows = Treatments(
        centres[groups] + 0.01 * rng.standard_normal((240, len(schema()))),
        rng.standard_normal((240, BANDS)),
        truth,
        np.zeros(240, bool),
        groups.astype(str),
    )
    nobody = rows[np.zeros(0, np.int64)]

    def r2(table: Treatments) -> float:
        _, found = out_of_fold(nobody, table, 1)
        return float(1.0 - np.square(found - truth).sum() / np.square(truth - truth.mean()).sum())

    assert r2(rows) < 0.1
    assert r2(replace(rows, groups=np.arange(240).astype(str))) > 0.9


def test_an_error_counts_a_gain() -> None:
    """A curve that is right but for a gain of 5 dB is no error; one band of 27 off by 2.7 dB is, by 0.2 dB or less."""
    truth = np.random.default_rng(1).standard_normal((1, BANDS))
    assert errors_db(truth + 5.0, truth)[0] == pytest.approx(0.0, abs=1e-9)
    off = truth.copy()
    off[0, 10] += 2.7
    assert 0.1 < errors_db(off, truth)[0] <= 0.2


def test_the_rule_to_compare_with_changes_what_is_usual() -> None:
    """A voice with the spectrum of one is left within 0.3 dB; 20 dB too much at 2 kHz are cut there by 1 to 3."""
    assert set(STEMS) | {"ambience"} == set(FAMILIES)
    level = spectrum_db("vocals") - 30.0
    assert np.abs(curve_db(level, {"voice": 1.0})).max() < 0.3
    shrill = level.copy()
    shrill[19:22] += 20.0
    made = curve_db(shrill, {"voice": 1.0})
    assert made.argmin() in (19, 20, 21)
    assert -3.0 < made.min() < -1.0
