"""The trim must go where the gated loudness says, slowly, within its bounds, and never for silence."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dsp.loudness import LoudnessMeter, measure
from dsp.loudness_trim import DOUBT_S, SPEED_DB_PER_S, LoudnessTrim
from dsp.ramp import LaneRamp
from engine.errors import GraphError
from engine.nodes import LoudnessTrim as LoudnessTrimNode
from engine.nodes.loudness_trim import HIGHEST_LUFS, LOWEST_LUFS, LoudnessTrimProcessor
from engine.scene import loudness as of_a_scene
from engine.spec import Block
from tests.test_nodes import Bench, build

RATE_HZ = 48_000
Samples = NDArray[np.float32]


def noise(seconds: float, level_lufs: float, seed: int = 1) -> Samples:
    """Return stereo noise of a loudness."""
    x = np.random.default_rng(seed).standard_normal((round(seconds * RATE_HZ), 2)).astype(np.float32)
    own = measure(x[: 10 * RATE_HZ], RATE_HZ).integrated_lufs
    return (x * 10 ** ((level_lufs - own) / 20)).astype(np.float32)


def trimmed(
    x: Samples, expected_lufs: float, range_db: float = 3.0, quantum: int = 480
) -> tuple[Samples, list[float]]:
    """Return what the kernel makes of x at a gain of 1, and the trim after every quantum."""
    trim = LoudnessTrim(RATE_HZ, expected_lufs, LaneRamp(1, 480))
    y, trims = np.empty_like(x), []
    for first in range(0, len(x), quantum):
        part = slice(first, first + quantum)
        trim.process(x[part], y[part], range_db)
        trims.append(trim.trim_db)
    return y, trims


@pytest.mark.parametrize("error_db", [-2.0, 1.0, 2.0])
def test_the_trim_ends_elsewhere_than_where_the_loudness_is_missed(error_db: float) -> None:
    """60 s of noise off by -2, 1 and 2 LU: T / (T + 10 s) of that within 0.05 dB, never faster than 0.25 dB/s."""
    _, trims = trimmed(noise(60.0, -23.0 - error_db), -23.0)
    assert trims[-1] == pytest.approx(error_db * 59.7 / (59.7 + DOUBT_S), abs=0.05)
    assert np.abs(np.diff(trims)).max() <= SPEED_DB_PER_S / 100 + 1e-12


@settings(max_examples=10)
@given(
    levels=st.lists(st.floats(-100.0, 6.0), min_size=2, max_size=5),
    range_db=st.floats(0.0, 6.0),
    expected_lufs=st.floats(-60.0, 0.0),
)
def test_the_trim_leaves_its_bounds(levels: list[float], range_db: float, expected_lufs: float) -> None:
    """Noise of -100 to +6 dBFS, changing every 4 s: never beyond the range, and the output is finite."""
    x = np.concatenate([noise(4.0, level, i) for i, level in enumerate(levels)])
    y, trims = trimmed(x, expected_lufs, range_db)
    assert np.abs(trims).max() <= range_db + 1e-9
    assert np.isfinite(y).all()


@pytest.mark.parametrize("quiet_lufs", [-math.inf, -120.0, -72.0, -45.0])
def test_a_silent_stretch_moves_the_trim(quiet_lufs: float) -> None:
    """10 s at -25, then 20 s of silence, of -120, -72 and -45 LUFS: from the end of the last block on not one bit."""
    quiet = np.zeros((20 * RATE_HZ, 2), np.float32) if math.isinf(quiet_lufs) else noise(20.0, quiet_lufs, 2)
    _, trims = trimmed(np.concatenate([noise(10.0, -25.0), quiet]), -23.0)
    assert trims[999] > 0.5
    assert len(set(trims[1041:])) == 1


def test_a_gain_of_one_changes_a_bit_before_the_trim_moves() -> None:
    x = noise(0.41, -23.0)
    y, _ = trimmed(x, -20.0)
    assert np.array_equal(x[: 40 * 480], y[: 40 * 480])
    assert np.array_equal(trimmed(noise(5.0, -23.0), -20.0, 0.0)[0], noise(5.0, -23.0))


@pytest.mark.parametrize("quantum", [1, 37, 128, 4096])
def test_the_quantum_changes_the_trim(quantum: int) -> None:
    """Bit-equal to one call over 3 s (1 s where it takes single frames)."""
    x = noise(1.0 if quantum == 1 else 3.0, -23.0)
    assert np.array_equal(trimmed(x, -20.0, quantum=quantum)[0], trimmed(x, -20.0, quantum=len(x))[0])


def test_a_plain_meter_and_a_slow_trim_in_python_go_elsewhere() -> None:
    """A twin of 10 ms steps in numpy, over a swell: every trim within 1e-9 dB, the output within 1e-6."""
    swell = np.repeat(10 ** (np.array([0, -4, -30, 2, -9, 0]) / 20), 2 * RATE_HZ)[:, None]
    x = (noise(12.0, -23.0) * swell).astype(np.float32)
    y, trims = trimmed(x, -20.0)
    meter, trim, wanted, gate, blocks, before = LoudnessMeter(RATE_HZ), 0.0, 0.0, -70.0, 0, 0.0
    for hop in range(len(x) // 480):
        part = x[480 * hop : 480 * hop + 480]
        gains = np.linspace(10 ** (before / 20), 10 ** (trim / 20), 481)[1:, None]
        assert np.abs(y[480 * hop : 480 * hop + 480] - part * gains).max() < 1e-6
        meter.process(part)
        if hop >= 39 and (hop + 1) % 10 == 0 and meter.momentary_lufs > -70.0:
            blocks += 1
            wanted = (-20.0 - meter.integrated_lufs) * blocks / (blocks + 100)
            gate = max(-70.0, meter.integrated_lufs - 10.0)
        before = trim
        if blocks and meter.momentary_lufs > gate:
            trim += min(0.0025, max(-0.0025, min(3.0, max(-3.0, wanted)) - trim))
        assert trims[hop] == pytest.approx(trim, abs=1e-9)


def node(
    target_lufs: float = -23.0, expected_lufs: float = -20.0, range_db: float = 3.0, quantum: int = 128
) -> Bench:
    return build(LoudnessTrimNode(target_lufs, expected_lufs, range_db), quantum=quantum)


def play(bench: Bench, x: Samples, quantum: int = 128) -> Block:
    out: Block = np.concatenate([bench.run(x[i : i + quantum]) for i in range(0, len(x), quantum)])
    return out


def test_the_gain_is_not_the_way_to_the_target() -> None:
    """-23 of an expected -20 is -3 dB; turned to -33 it is -13 dB, within 1e-4; the meters say so."""
    bench, x = node(range_db=0.0), noise(0.32, -20.0)
    assert np.abs(play(bench, x)[-480:] / x[-480:] - 10 ** (-3 / 20)).max() < 1e-4
    bench.params.set("node.target_lufs", -33.0)
    assert np.abs(play(bench, x)[-480:] / x[-480:] - 10 ** (-13 / 20)).max() < 1e-4
    assert bench.meters.read("node", "gain_db")[0] == pytest.approx(-13.0, abs=1e-3)
    assert bench.meters.read("node", "trim_db")[0] == 0.0


@pytest.mark.parametrize("quantum", [32, 128, 1024])
def test_a_target_that_is_turned_steps(quantum: int) -> None:
    """A 100 Hz sine of 0.05, from -23 to -10 to -40 LUFS: no second difference above 1e-3 (a step of h gives h)."""
    bench = node(expected_lufs=-23.0, quantum=quantum)
    t = np.arange(30 * 1024) / RATE_HZ
    x = np.repeat(0.05 * np.sin(2 * np.pi * 100 * t)[:, None], 2, axis=1).astype(np.float32)
    heard = [play(bench, x[:10240], quantum)]
    for target, part in ((-10.0, x[10240:20480]), (-40.0, x[20480:])):
        bench.params.set("node.target_lufs", target)
        heard.append(play(bench, part, quantum))
    assert np.abs(np.diff(np.concatenate(heard).astype(np.float64), 2, axis=0)).max() < 1e-3


def test_a_range_that_is_turned_down_leaves_the_trim_outside() -> None:
    """Trimmed by 1 dB and more, then to 0.5 dB and to nothing: it goes back at its speed, also in silence."""
    bench = node()
    play(bench, noise(5.12, -26.0))
    assert bench.meters.read("node", "trim_db")[0] > 1.0
    bench.params.set("node.trim_range_db", 0.5)
    play(bench, np.zeros((RATE_HZ * 96 // 25, 2), np.float32))
    assert bench.meters.read("node", "trim_db")[0] == pytest.approx(0.5)
    bench.params.set("node.trim_range_db", 0.0)
    play(bench, np.zeros((RATE_HZ * 96 // 25, 2), np.float32))
    assert bench.meters.read("node", "trim_db")[0] == 0.0


@pytest.mark.parametrize("expected_lufs", [-20.0, -26.0])
def test_a_node_that_takes_over_steps_or_forgets(expected_lufs: float) -> None:
    """The gain goes on from where it was; what was measured counts where the same is expected, else it begins anew."""
    old = node()
    x = noise(6.4, -26.0)
    play(old, x)
    new = node(expected_lufs=expected_lufs)
    assert isinstance(new.processor, LoudnessTrimProcessor)
    assert new.processor.can_adopt(old.processor)
    new.processor.adopt(old.processor)
    before_db = old.meters.read("node", "gain_db")[0]
    y = new.run(x[:128])
    gain_db = 20 * np.log10(np.abs(y[0] / x[0]))
    assert gain_db == pytest.approx([before_db] * 2, abs=0.1)
    play(new, x[128:])
    trim_db = new.meters.read("node", "trim_db")[0]
    if expected_lufs == -20.0:
        alone = node()
        play(alone, np.concatenate([x, x]))
        assert trim_db == alone.meters.read("node", "trim_db")[0]
    else:
        assert abs(trim_db) < 0.2


def test_a_setting_out_of_range_is_taken() -> None:
    """-41 and -9 LUFS, a trim of 7 dB, an expectation that is not a number; the scene's range is the node's."""
    wrong = ((-41.0, -20.0, 3.0), (-9.0, -20.0, 3.0), (-23.0, -20.0, 7.0), (-23.0, math.nan, 3.0))
    for target, expected, range_db in wrong:
        with pytest.raises(GraphError, match="loudness: "):
            LoudnessTrimNode(target, expected, range_db)
    assert (of_a_scene.LOWEST_LUFS, of_a_scene.HIGHEST_LUFS) == (LOWEST_LUFS, HIGHEST_LUFS)
