"""The bells' kernel against a recurrence in float64, for every number of bells and of lanes."""

import numpy as np
import numpy.typing as npt
import pytest

from dsp.bark import CENTRES_HZ
from dsp.bells import CHUNK, LANES, ROWS, H, filter_bells
from dsp.svf import bell, scaled_section

PERIOD = 256
Samples = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


def random_bells(width: int, bells: int, seed: int) -> Samples:
    """Return lanes (blocks, K, 6, LANES) of bells of 0 to 6 dB at Bark centres, a third of them idle."""
    rng = np.random.default_rng(seed)
    lanes = np.zeros((-(-width // LANES), bells, ROWS, LANES), np.float32)
    for block, k, lane in np.ndindex(len(lanes), bells, LANES):
        damping, tuning, scale = scaled_section(*bell(rng.choice(CENTRES_HZ), 1.0, 48000))
        start, end = scale * rng.uniform(0.0, 0.5, 2) * (rng.uniform() > 1 / 3)
        lanes[block, k, :4, lane] = damping, tuning, start, (end - start) / PERIOD
    return lanes


def filtered(x: Samples, lanes: Samples, working: Ints, *parts: int) -> tuple[Samples, Samples]:
    """Return (y, lanes after it) of a period in parts that end at the given frames."""
    flat = lanes.reshape(*lanes.shape[:2], -1).copy()
    y, z = np.full_like(x, np.nan), np.zeros((2, CHUNK, LANES), np.float32)
    for start, stop in zip((0, *parts), (*parts, len(x)), strict=True):
        filter_bells(x[start:stop], y[start:stop], start, flat, working, z)
    return y, flat


def noise(width: int) -> Samples:
    return (0.1 * np.random.default_rng(width).standard_normal((PERIOD, width))).astype(np.float32)


@pytest.mark.parametrize("bells", [1, 3, 4, 5, 8])
@pytest.mark.parametrize("width", [2, 16, 18, 34])
def test_bells_stray_from_float64(bells: int, width: int) -> None:
    """Outputs equal the recurrence in float64 to 2e-6 of their largest value."""
    x, lanes = noise(width), random_bells(width, bells, 1)
    y, _ = filtered(x, lanes, np.full(len(lanes), bells))
    truth = x.astype(np.float64)
    for lane in range(width):
        for k in range(bells):
            a, b, amount, slope = lanes[lane // LANES, k, :4, lane % LANES].astype(np.float64)
            h = s = 0.0
            for i in range(PERIOD):
                w = truth[i, lane] - s + a * h
                h, s = w - h, s + b * w
                truth[i, lane] -= (amount + (i + 1) * slope) * w
    assert np.max(np.abs(y - truth)) < 2e-6 * np.max(np.abs(truth))


@pytest.mark.parametrize("bells", [1, 3, 4, 5, 8])
@pytest.mark.parametrize("width", [2, 16, 34])
def test_parts_of_a_period_differ_from_the_whole(bells: int, width: int) -> None:
    """Outputs and states of all lanes are bit-equal for 256 frames at once and in parts of 1 to 126."""
    x, lanes = noise(width), random_bells(width, bells, 2)
    working = np.full(len(lanes), bells)
    y, after = filtered(x, lanes, working)
    y_parts, after_parts = filtered(x, lanes, working, 1, 3, 65, 130)
    assert y.tobytes() == y_parts.tobytes()
    lane = np.arange(width)
    states, states_parts = (
        a.reshape(lanes.shape)[lane // LANES, :, :, lane % LANES] for a in (after, after_parts)
    )
    assert np.array_equal(states, states_parts)


@pytest.mark.parametrize("bells", [1, 4, 5])
def test_idle_lane_is_touched_beside_working_ones(bells: int) -> None:
    """Lanes whose bells are all idle pass bit for bit, -0.0 and denormals too; a lane that begins to work does not."""
    x, lanes = noise(18), random_bells(18, bells, 3)
    idle = np.arange(0, 18, 3)
    lanes[idle // LANES, :, 2:4, idle % LANES] = 0.0
    lanes[0, 0, 2:4, 1] = 0.0, 1e-4
    x[::2, idle], x[1::4, idle] = -0.0, 1e-42
    y, _ = filtered(x, lanes, np.full(len(lanes), bells))
    assert x[:, idle].tobytes() == y[:, idle].tobytes()
    assert np.count_nonzero(x[:, 1] != y[:, 1]) > 200


def test_block_without_work_is_filtered() -> None:
    """With the second of three blocks at rest its states stay as they were, and its lanes pass bit for bit."""
    x, lanes = noise(3 * LANES), random_bells(3 * LANES, 4, 4)
    y, after = filtered(x, lanes, np.array([4, 0, 4]))
    assert np.array_equal(after[1], lanes[1].reshape(4, -1))
    assert np.array_equal(x[:, LANES : 2 * LANES], y[:, LANES : 2 * LANES])
    assert np.all(after[::2].reshape(2, 4, -1)[:, :, H : H + LANES] != 0.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_bad_sample_passes(bad: float) -> None:
    """A sample that is no sound counts as 0, bit for bit, in working and in idle lanes and in blocks at rest."""
    width = 2 * LANES + 2
    good, lanes = noise(width), random_bells(width, 4, 5)
    good[17, ::5] = 0.0
    poisoned = good.copy()
    poisoned[17, ::5] = bad
    working = np.array([4, 0, 4])
    assert filtered(poisoned, lanes, working)[0].tobytes() == filtered(good, lanes, working)[0].tobytes()
