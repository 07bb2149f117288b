"""Who masks whom: the share of each track that every other track hides, from the band energies of one moment.

This is for the eye, at a slow rate, away from the DSP thread. It uses the published model that `dsp.masking` uses, but
stands by itself: how demands are weighed for control changes nothing here.

    E'_i = E_i kept_i                           what the bells leave of track i in a band
    X_i = S E'_i;  Xtot = sum of all X_i        S of `dsp.bark.spreading_matrix`
    MSR_i = 10 log10(10^(-m/10) (Xtot - X_i) / E'_i)
    w_i = clip(1 + (L_i - max L_i + 6) / 20, 0, 1), L_i = 10 log10 E_i; 0 where E_i <= Tq
    mu_i = w_i clip(MSR_i / 20, 0, 1)
    P_ji = X_j mu_i / (Xtot - X_i) / (sum of w_i over bands), P_ii = 0

Summed over bands, P_ji is the share of track i that is hidden and track j's doing; summed over j as well it is
M_i = sum mu_i / sum w_i, how deep track i is buried: 0 nowhere reached by the masked threshold of the others, 1 at
least 20 dB below it wherever it matters. The weights are those before the cut, so that before and after can be
compared: what was to be heard stays the same. Masking by the threshold in quiet is nobody's doing and is left out.

Source    spreading and offset `dsp.bark`; MSR: Ronan, Ma, McNamara, Gunes & Reiss 2018, arXiv 1803.09960
"""

import numpy as np
import numpy.typing as npt

from dsp.bark import masking_offset_db, spreading_matrix, threshold_in_quiet_energy

NEAR_DB, RANGE_DB = 6.0, 20.0
"""Bands within 6 dB of a track's strongest matter fully, those 20 dB further down no longer; a track that is 20 dB
below the mask of the others is buried altogether."""
ENERGY_FLOOR = 1e-16

Floats = npt.NDArray[np.float64]

SPREADING = spreading_matrix()
OFFSET = 10.0 ** (-masking_offset_db()[:, None] / 10.0)
QUIET = threshold_in_quiet_energy()[:, None]
GEMM_STEPS = 200_000
"""Multiplications of a matrix product at a time: from 2^18 on, OpenBLAS spreads them over threads, which spin beside
those that play, and on a busy machine take a hundred times as long."""


def weights(energy: Floats) -> Floats:
    """Return w, float64[25, T], 0 to 1: how much each band of a track matters, from its float64[25, T] mean squares."""
    levels = np.maximum(energy, ENERGY_FLOOR)
    below_db = 10.0 * np.log10(levels / levels.max(axis=0))
    matter = np.clip(1.0 + (below_db + NEAR_DB) / RANGE_DB, 0.0, 1.0)
    return np.where(energy > QUIET, matter, 0.0)


def factors(energy: Floats, kept: Floats | None = None) -> tuple[Floats, Floats]:
    """Return (X, A), each float64[25, T], whose products are the pairs: P_ji in band b is X[b, j] A[b, i], j not i.

    `energy` is the mean square of each track per band before the cut, `kept` the share of it that is left (None: all).
    Where many moments are to be added up, they can be in one matrix product.
    """
    left = energy if kept is None else energy * kept
    excitation = product(SPREADING.T, left)
    others = np.maximum(excitation.sum(axis=1, keepdims=True) - excitation, ENERGY_FLOOR)
    ratio_db = 10.0 * np.log10(OFFSET * others / np.maximum(left, ENERGY_FLOOR))
    weight = weights(energy)
    whole = weight.sum(axis=0)
    masked = weight * np.clip(ratio_db / RANGE_DB, 0.0, 1.0)
    return excitation, masked / (others * np.where(whole > 0.0, whole, 1.0))


def pairs(energy: Floats, kept: Floats | None = None, *, per_band: bool = False) -> Floats:
    """Return P, float64[T, T], row the masker, column the maskee; `per_band` float64[25, T, T].

    `energy` and `kept` as in `factors`; without `kept` it is the masking before the cut. A column sums to how deep
    that track is buried, 0 to 1.
    """
    excitation, hidden = factors(energy, kept)
    shares = excitation[:, :, None] * hidden[:, None, :] if per_band else product(excitation, hidden)
    return without_self(shares)


def product(a: Floats, b: Floats) -> Floats:
    """Return a.T @ b, float64[I, J], of float64[n, I] and float64[n, J], in one thread."""
    width = max(1, GEMM_STEPS // max(1, a.size))
    result = np.empty((a.shape[1], b.shape[1]))
    for first in range(0, b.shape[1], width):
        columns = slice(first, first + width)
        np.matmul(a.T, b[:, columns], out=result[:, columns])
    return result


def without_self(shares: Floats) -> Floats:
    """Return `shares` float64[..., T, T] itself, its diagonal set to 0: no track masks itself."""
    each = np.arange(shares.shape[-1])
    shares[..., each, each] = 0.0
    return shares
