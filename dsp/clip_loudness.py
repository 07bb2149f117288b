"""Loudness of clips of any length, which the meters for programmes do not read: a bird's call, a door."""

import numpy as np
import numpy.typing as npt

from dsp.jit import kernel
from dsp.loudness import OFFSET_LUFS, RELATIVE_GATE_LU, k_weighting, take_energy, weigh
from dsp.units import SILENCE_DB, power_to_db

ACTIVE_RANGE_DB = 40.0
ACTIVE_HOPS_PER_SECOND = 400
"""Finer than the meters' hops: each end of a one-shot adds a hop of little energy to its active part."""

POWERS_PER_SECOND = 10
HOPS_PER_POWER = ACTIVE_HOPS_PER_SECOND // POWERS_PER_SECOND


@kernel("void(float32[:, ::1], float64[:, ::1], float64[::1], float64[:, ::1], int64, float64[::1])")
def _hop_energies(
    x: np.ndarray,
    coefficients: np.ndarray,
    weights: np.ndarray,
    filters: np.ndarray,
    hop_frames: int,
    energies: np.ndarray,
) -> None:
    """Write the K-weighted energy of every hop of x (frames, channels); the last one may be short."""
    levels = np.zeros((2, x.shape[1]))
    for hop in range(energies.shape[0]):
        stop = min(x.shape[0], (hop + 1) * hop_frames)
        for lane in range(x.shape[1]):
            weigh(x, hop * hop_frames, stop, lane, coefficients, filters, levels)
        energies[hop] = take_energy(weights, filters)


def _lufs(power: float) -> float:
    return max(SILENCE_DB, OFFSET_LUFS + power_to_db(power))


def measure_clip(samples: npt.NDArray[np.float32], rate_hz: float) -> tuple[float, npt.NDArray[np.float64]]:
    """Return the loudness of the active part of a clip (frames, 1 or 2) of any length, in LUFS, and its powers.

    Active are the 2.5 ms hops within 40 dB of the loudest. From 400 ms of them on, gating blocks are laid
    over the active hops alone and gated at -10 LU; below, it is one mean over the active hops. There is no
    absolute gate, so a clip 6 dB quieter reads 6 LU lower at any level. One channel counts as the same signal
    in both (dual mono). Silence is -144.

    The powers are K-weighted, one for every 100 ms, the last as if silence followed: a programme of such a power has a
    loudness of -0.691 + 10 log10 of it.
    """
    samples = np.ascontiguousarray(samples, np.float32)
    frames, channels = samples.shape
    if channels not in (1, 2):
        raise ValueError(f"channels is {channels}; a clip has 1 or 2")
    hop = round(rate_hz / ACTIVE_HOPS_PER_SECOND)
    energies = np.zeros(-(-frames // hop))
    weights = np.full(channels, 2.0 / channels)
    _hop_energies(samples, k_weighting(rate_hz), weights, np.zeros((channels, 5)), hop, energies)
    whole = np.zeros(-(-len(energies) // HOPS_PER_POWER) * HOPS_PER_POWER)
    whole[: len(energies)] = energies
    return _active_lufs(energies, frames, hop), whole.reshape(-1, HOPS_PER_POWER).sum(axis=1) / (
        hop * HOPS_PER_POWER
    )


def active_loudness(samples: npt.NDArray[np.float32], rate_hz: float) -> float:
    """Return the loudness of the active part of a clip, see `measure_clip`."""
    return measure_clip(samples, rate_hz)[0]


def _active_lufs(energies: npt.NDArray[np.float64], frames: int, hop: int) -> float:
    lengths = np.full(len(energies), float(hop))
    lengths[-1:] = frames - hop * (len(energies) - 1)
    powers = energies / lengths
    if not powers.any():
        return SILENCE_DB
    active = powers >= powers.max() * 10.0 ** (-ACTIVE_RANGE_DB / 10.0)
    energies, lengths = energies[active], lengths[active]
    width, step = round(0.4 * ACTIVE_HOPS_PER_SECOND), round(0.1 * ACTIVE_HOPS_PER_SECOND)
    if len(energies) < width:
        return _lufs(energies.sum() / lengths.sum())
    starts = np.arange(0, len(energies) - width + 1, step)
    energy = np.concatenate(([0.0], np.cumsum(energies)))
    length = np.concatenate(([0.0], np.cumsum(lengths)))
    blocks = (energy[starts + width] - energy[starts]) / (length[starts + width] - length[starts])
    loud = blocks >= blocks.mean() * 10.0 ** (RELATIVE_GATE_LU / 10.0)
    return _lufs(blocks[loud].mean())
