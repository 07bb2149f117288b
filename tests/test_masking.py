"""The demand for cuts against an explicit double loop over all pairs of tracks."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsp.bark import BANDS, masking_offset_db, spreading_matrix, threshold_in_quiet_energy
from dsp.masking import ALWAYS, NEVER, Masking

Floats = npt.NDArray[np.float64]


def scene(tracks: int, seed: int, low_db: float = -110.0) -> Floats:
    """Return random energies (25, T) from `low_db` to -20 dB."""
    return 10 ** (np.random.default_rng(seed).uniform(low_db, -20, (BANDS, tracks)) / 10)


def targets(
    energy: Floats, importance: npt.ArrayLike, strength: float = 1.0, cut_db: float = 6.0, peak: float = 1.0
) -> Floats:
    """Return target_db; `peak` is that of all tracks but the first."""
    masking, peaks = Masking(energy.shape[1]), np.full(energy.shape[1], peak, np.float32)
    peaks[0] = 1.0
    masking.importance[:] = importance
    masking.process(np.ascontiguousarray(energy, np.float32), peaks, strength, cut_db)
    return masking.target_db.astype(np.float64)


def needs(energy: Floats) -> Floats:
    """n of every track and band (25, T) by the definition, with the library's logarithms."""
    quiet = threshold_in_quiet_energy()[:, None]
    excitation = spreading_matrix() @ energy
    others = np.array([np.delete(excitation, i, 1).sum(axis=1) for i in range(energy.shape[1])]).T
    mask = 10 ** (-masking_offset_db()[:, None] / 10) * others
    level_db, msr_db = 10 * np.log10(energy), 10 * np.log10(mask / energy)
    w = np.where(energy > quiet, np.clip(1 + (level_db - level_db.max(axis=0) + 6) / 20, 0, 1), 0)
    inside = np.clip((msr_db + 18) / 6 + 0.5, 0, 1) * np.clip((20 - msr_db) / 6 + 0.5, 0, 1)
    return np.asarray(np.where(mask > quiet, w * inside, 0) / np.maximum(w.mean(axis=0), 1e-12))


def twin(energy: Floats, importance: Floats, strength: float, cut_db: float) -> Floats:
    """The targets by the definition: matrix, all pairs."""
    tracks = energy.shape[1]
    quiet, excitation, need = threshold_in_quiet_energy(), spreading_matrix() @ energy, needs(energy)
    result = np.zeros((tracks, BANDS))
    for b in range(BANDS):
        for j in range(tracks):
            demand = -0.75 * importance[j] ** 3 * need[b, j]
            for i in range(tracks):
                if i != j and importance[i] >= importance[j]:
                    others = sum(excitation[b, n] for n in range(tracks) if n != i)
                    gap = importance[i] - importance[j]
                    demand += (gap**2 + 0.02) * need[b, i] * excitation[b, j] / others
            if energy[b, j] > quiet[b]:
                result[j, b] = -min(cut_db / 0.6, max(0.0, 60 * strength * demand))
    return result


@pytest.mark.parametrize("seed", range(6))
def test_suffix_sums_differ_from_all_pairs(seed: int) -> None:
    """Targets equal those of the double loop in double precision to 2e-5 dB or 1e-5 of themselves, ties included."""
    rng = np.random.default_rng(seed)
    importance = np.round(rng.uniform(0, 1, 11), 1)
    energy = scene(11, seed)
    truth = twin(energy, importance, 0.7, 5.0)
    assert targets(energy, importance, 0.7, 5.0) == pytest.approx(truth, rel=1e-5, abs=2e-5)
    assert truth.min() < -1.0


@given(st.floats(1e-20, 1e12))
def test_fast_logarithm_is_coarse(ratio: float) -> None:
    """Two tracks of one band each: targets, with the edges of the need computed with it, are right to 1e-5 of them."""
    energy = np.full((BANDS, 2), 1e-20)
    energy[8] = 1e-3, np.clip(1e-3 * ratio, 1e-20, 1e6)
    truth = twin(energy, np.array([1.0, 0.0]), 0.01, 6.0)
    assert targets(energy, [1.0, 0.0], 0.01) == pytest.approx(truth, rel=1e-5, abs=2e-5)


def test_equals_do_not_share() -> None:
    """Of two equals, the one that stands out in a band yields there, and is not asked to where it is buried itself."""
    energy = np.full((BANDS, 2), 1e-20)
    energy[4], energy[16] = (1e-3, 1.1e-5), (1.1e-5, 1e-3)
    target = targets(energy, [0.5, 0.5])
    assert target[0, 4] < -2.0
    assert target[1, 16] < -2.0
    assert target[0, 16] == target[1, 4] == 0.0


def test_need_of_its_own_spares_no_one() -> None:
    """A track of importance 0.9 that is in need itself owes one of 1.0 nothing; one of 0.1 owes it more than 6 dB."""
    energy = np.full((BANDS, 2), 1e-20)
    energy[8] = 1e-3
    assert np.all(targets(energy, [1.0, 0.9]) == 0.0)
    assert targets(energy, [1.0, 0.1])[1, 8] < -6.0


def test_most_important_track_is_cut() -> None:
    """The target of the most important track is exactly 0 while others are cut."""
    target = targets(scene(9, 2), np.linspace(0, 1, 9))
    assert np.all(target[8] == 0.0)
    assert target[:8].min() < -0.5


def test_level_changes_the_cuts() -> None:
    """+6 dB on all tracks moves no target by more than 1e-4 dB where the threshold in quiet is far away."""
    energy, importance = scene(6, 3, low_db=-25.0), np.linspace(0, 1, 6)
    assert targets(4 * energy, importance) == pytest.approx(targets(energy, importance), abs=1e-4)


def test_maskers_do_not_add() -> None:
    """One masker split into two of half its power: both halves together owe what the whole owed.

    They have ended, so that they need nothing themselves.
    """
    energy = scene(2, 4, low_db=-40.0)
    split = np.column_stack([energy[:, :1], energy[:, 1:] / 2, energy[:, 1:] / 2])
    whole = targets(energy, [1.0, 0.0], 0.05, peak=0.0)[1]
    halves = targets(split, [1.0, 0.0, 0.0], 0.05, peak=0.0)[1:]
    assert whole.min() < -0.1
    assert halves.sum(axis=0) == pytest.approx(whole, rel=1e-5, abs=1e-6)


def test_track_masks_itself() -> None:
    """A lone loud track beside silence asks for nothing, though it is far above every threshold."""
    energy = np.full((BANDS, 2), 1e-20)
    energy[:, 0] = 0.1
    assert np.all(targets(energy, [1.0, 0.0]) == 0.0)
    assert np.all(targets(energy, [0.0, 1.0]) == 0.0)


def test_inaudible_masker_is_cut() -> None:
    """A track is cut only in bands where its own energy is above the threshold in quiet."""
    energy = scene(5, 5)
    target = targets(energy, np.linspace(0, 1, 5), strength=10.0)
    inaudible = (energy <= threshold_in_quiet_energy()[:, None]).T
    assert inaudible.any()
    assert np.all(target[inaudible] == 0.0)


def test_bands_that_do_not_matter_are_protected() -> None:
    """A band 30 dB below the strongest band of the maskee is not defended, one 3 dB below is."""
    energy = np.full((BANDS, 2), 1e-20)
    energy[4, 0], energy[12, 0], energy[20, 0] = 1e-4, 0.5e-4, 1e-7
    energy[12, 1] = energy[20, 1] = 1e-2
    target = targets(energy, [1.0, 0.0])
    assert target[1, 12] < -1.0
    assert target[1, 20] == 0.0


@pytest.mark.parametrize("cut_db", [0.0, 3.0, 6.0])
def test_target_passes_the_deepest_cut(cut_db: float) -> None:
    """However strong, no target is below 10/6 of the limit, and that is reached."""
    deepest = targets(scene(8, 6), np.linspace(0, 1, 8), strength=100.0, cut_db=cut_db).min()
    assert deepest == pytest.approx(-cut_db / 0.6, rel=1e-6)


def test_no_strength_still_cuts() -> None:
    """Strength 0 makes every target exactly 0."""
    assert np.all(targets(scene(8, 7), np.linspace(0, 1, 8), strength=0.0) == 0.0)


def test_bad_importance_spoils_the_others() -> None:
    """Not a number counts as 0, values outside 0..1 are clipped, and all targets stay finite."""
    masking = Masking(4)
    masking.importance[:] = [np.nan, 7.0, -3.0, np.inf]
    masking.process(scene(4, 8).astype(np.float32), np.ones(4, np.float32), 1.0, 6.0)
    assert np.all(np.isfinite(masking.target_db))


def test_ended_track_is_defended() -> None:
    """Below -97 dBFS, the peak of the faintest audible sine, a track asks for nothing but is asked, the more so."""
    masking, energy = Masking(3), scene(3, 9, low_db=-40.0)
    masking.importance[:] = [1.0, 0.5, 0.0]
    masking.process(energy.astype(np.float32), np.array([1.0, 1.4e-5, 1.0], np.float32), 1.0, 6.0)
    ended = masking.target_db.copy()
    masking.process(energy.astype(np.float32), np.array([1.0, 1.5e-5, 1.0], np.float32), 1.0, 6.0)
    assert np.all(ended[1] <= masking.target_db[1])
    assert ended[1].min() < -0.1
    assert np.any(ended[2] > masking.target_db[2])
    masking.process(energy.astype(np.float32), np.array([1e-5, 1e-5, 1.0], np.float32), 1.0, 6.0)
    assert np.all(masking.target_db == 0.0)


def test_track_that_never_yields_is_cut() -> None:
    """Its targets are exactly 0, those of the others what they were."""
    masking, energy = Masking(5), scene(5, 10, low_db=-60.0)
    masking.importance[:] = np.linspace(0, 1, 5)
    masking.process(energy.astype(np.float32), np.ones(5, np.float32), 1.0, 6.0)
    before = masking.target_db.copy()
    masking.yielding[1] = NEVER
    masking.process(energy.astype(np.float32), np.ones(5, np.float32), 1.0, 6.0)
    assert before[1].min() < -0.1
    assert np.all(masking.target_db[1] == 0.0)
    assert np.array_equal(np.delete(masking.target_db, 1, 0), np.delete(before, 1, 0))


def test_track_that_always_yields_does_not() -> None:
    """The most important track owes as much as with importance 0 beside others of 1, but for what equals add (2 %)."""
    masking, energy = Masking(4), scene(4, 11, low_db=-40.0)
    masking.importance[:] = [1.0, 0.2, 0.5, 0.0]
    masking.yielding[0] = ALWAYS
    masking.process(energy.astype(np.float32), np.ones(4, np.float32), 0.3, 600.0)
    expected = targets(energy, [0.0, 1.0, 1.0, 1.0], 0.3, 600.0)[0] / 1.02
    assert expected.min() < -0.5
    assert masking.target_db[0] == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_targets_remember_an_earlier_order(seed: int) -> None:
    """After any earlier importances the targets have the bits of a new stage, ties included."""
    rng = np.random.default_rng(seed)
    masking, energy = Masking(17), scene(17, seed, low_db=-60.0)
    for _ in range(5):
        masking.importance[:] = np.round(rng.uniform(0, 1, 17), 1)
        masking.process(energy.astype(np.float32), np.ones(17, np.float32), 1.0, 6.0)
    fresh = Masking(17)
    fresh.importance[:] = masking.importance
    fresh.process(energy.astype(np.float32), np.ones(17, np.float32), 1.0, 6.0)
    assert np.array_equal(masking.target_db, fresh.target_db)
