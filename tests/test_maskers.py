"""Who masks whom: against a twin in plain loops, and what has to hold at the limits."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from dsp.bark import BANDS, CENTRES_HZ, hz_to_bark, masking_offset_db, threshold_in_quiet_energy
from dsp.maskers import factors, pairs, product, weights

Floats = NDArray[np.float64]

BARK = hz_to_bark(CENTRES_HZ)
QUIET = threshold_in_quiet_energy()


def twin(energy: Floats, kept: Floats) -> Floats:
    """The formulas of the module's docstring, one number at a time: float64[25, T, T]."""
    bands, tracks = energy.shape
    left = [[energy[b, t] * kept[b, t] for t in range(tracks)] for b in range(bands)]
    x = [[0.0] * tracks for _ in range(bands)]
    for b in range(bands):
        for t in range(tracks):
            for c in range(bands):
                dz = BARK[b] - BARK[c]
                x[b][t] += 10.0 ** ((-15.0 * dz if dz >= 0.0 else 27.0 * dz) / 10.0) * left[c][t]
    shares = np.zeros((bands, tracks, tracks))
    for i in range(tracks):
        loudest = max(energy[:, i])
        w = [0.0] * bands
        for b in range(bands):
            if energy[b, i] > QUIET[b]:
                w[b] = min(1.0, max(0.0, 1.0 + (10.0 * math.log10(energy[b, i] / loudest) + 6.0) / 20.0))
        for b in range(bands):
            others = sum(x[b][k] for k in range(tracks) if k != i)
            if w[b] == 0.0 or others == 0.0:
                continue
            threshold = 10.0 ** (-masking_offset_db()[b] / 10.0) * others
            mu = w[b] * min(1.0, max(0.0, 10.0 * math.log10(threshold / left[b][i]) / 20.0))
            for j in range(tracks):
                if j != i:
                    shares[b, j, i] = x[b][j] / others * mu / sum(w)
    return shares


def energies(tracks: int, seed: int = 1) -> tuple[Floats, Floats]:
    """Band energies from -100 to -20 dB, a few of them 0, and cuts of 0 to 6 dB."""
    random = np.random.default_rng(seed)
    energy = 10.0 ** random.uniform(-10.0, -2.0, (BANDS, tracks))
    energy[random.uniform(size=energy.shape) < 0.05] = 0.0
    return energy, 10.0 ** (random.uniform(-6.0, 0.0, (BANDS, tracks)) / 10.0)


@pytest.mark.parametrize("tracks", [1, 2, 7, 20])
def test_pairs_are_those_of_the_loops(tracks: int) -> None:
    """Within 1e-9, before and after the cut, band by band and summed."""
    energy, kept = energies(tracks)
    for stage, cut in ((None, np.ones_like(kept)), (kept, kept)):
        expected = twin(energy, cut)
        assert np.abs(pairs(energy, stage, per_band=True) - expected).max() <= 1e-9
        assert np.abs(pairs(energy, stage) - expected.sum(axis=0)).max() <= 1e-9
    assert tracks == 1 or expected.max() > 0.001


@given(arrays(np.float64, (BANDS, 5), elements=st.floats(-160.0, 20.0)))
def test_the_maskers_of_a_track_sum_to_how_deep_it_is_buried(level_db: Floats) -> None:
    """Sum over j of P_ji = M_i = sum of mu over sum of w, within 1e-9, and 0 to 1; nobody masks himself."""
    energy = 10.0 ** (level_db / 10.0)
    shares = pairs(energy)
    excitation, hidden = factors(energy)
    others = excitation.sum(axis=1, keepdims=True) - excitation
    assert np.abs(shares.sum(axis=0) - (hidden * others).sum(axis=0)).max() <= 1e-9
    assert shares.min() >= 0.0
    assert shares.sum(axis=0).max() <= 1.0 + 1e-9
    assert not shares.diagonal().any()


def test_a_track_far_below_another_is_wholly_its_masking() -> None:
    """Of the same spectrum and 40 dB softer: P is 1 to 1e-9 one way and 0 the other."""
    spectrum = np.full(BANDS, 1e-4)
    energy = np.stack([spectrum, 1e-4 * spectrum], axis=1)
    assert weights(energy).any(axis=0).all()
    shares = pairs(energy)
    assert shares[0, 1] == pytest.approx(1.0, abs=1e-9)
    assert shares[1, 0] == 0.0


def test_maskers_share_by_their_power() -> None:
    """Of two maskers with one spectrum, the one 10 dB louder does 10 of 11 parts."""
    spectrum = np.full(BANDS, 1e-4)
    shares = pairs(np.stack([spectrum, 10.0 * spectrum, 1e-3 * spectrum], axis=1))
    assert shares[1, 2] / shares[:, 2].sum() == pytest.approx(10.0 / 11.0, abs=1e-9)


@pytest.mark.parametrize("floor", [0.0, 1e-20])
def test_a_silent_track_neither_masks_nor_is_masked(floor: float) -> None:
    """Its row and its column are below 1e-9, and those of the others as without it, to 1e-9."""
    energy, kept = energies(4)
    silent = np.insert(energy, 2, floor, axis=1)
    shares = pairs(silent, np.insert(kept, 2, 1.0, axis=1))
    assert shares[2].max() <= 1e-9
    assert not shares[:, 2].any()
    rest = np.delete(np.delete(shares, 2, axis=0), 2, axis=1)
    assert np.abs(rest - pairs(energy, kept)).max() <= 1e-9


def test_what_is_far_apart_in_frequency_does_not_mask() -> None:
    energy = np.zeros((BANDS, 2))
    energy[3, 0] = energy[18, 1] = 1e-4
    assert not pairs(energy).any()


def test_a_cut_of_the_masker_uncovers_and_a_cut_of_the_masked_buries() -> None:
    """Of two like spectra 16 dB apart: 6 dB off the louder one take 6/20 off the depth, to 1e-9; off both, nothing."""
    loud, soft = np.full(BANDS, 4e-4), np.full(BANDS, 1e-5)
    energy = np.stack([loud, soft], axis=1)
    cut = np.ones((BANDS, 2))
    before = pairs(energy)[0, 1]
    cut[:, 0] = 10.0**-0.6
    uncovered = pairs(energy, cut)[0, 1]
    assert before - uncovered == pytest.approx(0.3, abs=1e-9)
    cut[:, 1] = 10.0**-0.6
    assert pairs(energy, cut)[0, 1] == pytest.approx(before, abs=1e-9)
    cut[:, 0] = 1.0
    assert pairs(energy, cut)[0, 1] > before + 0.2


def test_a_product_of_many_parts_is_the_product() -> None:
    """40 and 600 columns, in one part and in many: within 1e-12 of numpy's."""
    random = np.random.default_rng(2)
    for size in (1, 40, 600):
        a, b = random.uniform(size=(25, size)), random.uniform(size=(25, size))
        assert np.abs(product(a, b) - a.T @ b).max() <= 1e-12
