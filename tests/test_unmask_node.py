"""The node of the unmasking stage: healing, meters and the grid of the transport."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from dsp.bank_filters import BLOCK
from dsp.bank_filters import ROWS as BANK_ROWS
from dsp.bark import BANDS
from dsp.bells import LANES, ROWS, H
from dsp.unmask import Unmask
from dsp.vectors import WIDTH
from engine.clips import ClipStore
from engine.events import EventQueue
from engine.inputs import InputRing
from engine.meters import MeterTable
from engine.node import BuildContext
from engine.nodes import Unmask as UnmaskNode
from engine.nodes.unmask import UnmaskProcessor
from engine.params import ParamTable
from engine.spec import StreamSpec
from tests.test_unmask import Samples, band_noise, bank, clash, peak_bytes, same_bits


@dataclass
class Bench:
    """The node's processor on its own."""

    processor: UnmaskProcessor
    meters: MeterTable
    frame: int = 0

    def play(self, x: Samples) -> Samples:
        """Return y of x, in quanta of 128."""
        y = np.full_like(x, np.nan)
        for n in range(0, len(x), 128):
            self.processor.process((x[n : n + 128],), (y[n : n + 128],), self.frame)
            self.frame += 128
        return y

    def shown(self) -> list[npt.NDArray[np.float64]]:
        """Return the meters: reduction of each track, energy and kept of each band and track, and the counter."""
        return [self.meters.read("node", name) for name in ("reduction_db", "energy", "kept", "shown")]


def bench(tracks: str, *importance: float, rate_hz: int = 48_000) -> Bench:
    node = UnmaskNode(tuple(tracks), importance)
    params, meters = ParamTable.of([("node", node.params)]), MeterTable.of([("node", node.meters)])
    ctx = BuildContext(
        *("node", StreamSpec(rate_hz, 128), ClipStore(), (EventQueue(),), InputRing()),
        *(params.slot_map, params.memory, meters.slot_map, meters.memory),
    )
    processor = node.build(ctx)
    silence = np.zeros((128, 2 * len(tracks)), np.float32)
    processor.process((silence,), (np.empty_like(silence),), -(2**62))  # as a plan warms it
    processor.reset()
    return Bench(processor, meters)


def poison(stage: Unmask, track: int, sides: tuple[int, ...]) -> None:
    """Make the states of the bells of some sides of a track no numbers, and those of its band filters."""
    for side in sides:
        lane = side * stage.tracks + track
        bells = stage._eq._lanes.reshape(-1, stage.bells, ROWS, LANES)
        bells[lane // LANES, :, H // LANES :, lane % LANES] = np.nan
    slot = stage._bank._slot[track]
    stage._bank._lanes.reshape(-1, BLOCK // WIDTH, WIDTH)[
        slot // WIDTH, : BANDS * BANK_ROWS, slot % WIDTH
    ] = np.nan


@pytest.mark.parametrize("sides", [(0,), (1,), (0, 1)])
def test_healing_disturbs_the_other_tracks(sides: tuple[int, ...]) -> None:
    """One of three tracks is poisoned and healed: the others have the bits of a bank that never was.

    From the next grid point on, at which the healed track has no energy yet, the bank is one in which that track
    went back to silence unpoisoned. 0.4 s later it is cut by more than 2 dB again.
    """
    sick, never, twin = (bench("abc", 0.9, 0.1, 0.2) for _ in range(3))
    x = bank(clash(48000)[:, 0], clash(48000)[:, 1], band_noise(1.0, 48000, 300, 1000, 0.05, 3))
    for b in (sick, never, twin):
        b.play(x[:25_600])
        assert b.processor._stage.reduction_db[1:].max() < -2.0
    poison(sick.processor._stage, 1, sides)
    assert twin.processor._stage._passed == 0
    y, truth = sick.play(x[25_600:25_728]), never.play(x[25_600:25_728])
    twin.play(x[25_600:25_728])
    bad = np.asarray(np.isnan(y).any(axis=0))
    assert np.array_equal(np.flatnonzero(bad), [3 * side + 1 for side in sides])
    assert same_bits(y[:, ~bad], truth[:, ~bad])
    for b in (sick, twin):
        b.processor.heal(0, bad)
        assert np.all(b.processor._stage.target_db[1] == 0.0)
    others = [0, 2, 3, 5]
    y, truth, reset = (b.play(x[25_728:25_856]) for b in (sick, never, twin))
    assert same_bits(y[:, others], truth[:, others])
    assert same_bits(y, reset)
    assert same_bits(y[:, [1, 4]], x[25_728:25_856, [1, 4]])
    y, reset = sick.play(x[25_856:44_800]), twin.play(x[25_856:44_800])
    assert same_bits(y, reset)
    assert not same_bits(y[:, [1, 4]], x[25_856:44_800, [1, 4]])
    assert sick.processor._stage.reduction_db[1] < -2.0
    assert all(np.array_equal(a, b) for a, b in zip(sick.shown(), twin.shown(), strict=True))


def test_bad_number_is_shown_after_healing() -> None:
    """A track that is healed shows no cut, no energy and that all is left; the other's meters stay as they were."""
    b = bench("ab", 0.9, 0.1)
    b.play(clash(48000)[:25_600])
    before = b.shown()
    b.processor._stage.shown_kept[:, 1] = np.nan
    b.processor.heal(0, np.array([False, False, False, True]))
    for after, was, start in zip(b.shown()[:3], before, (0.0, 0.0, 1.0), strict=False):
        assert np.array_equal(after[..., 0], was[..., 0])
        assert np.all(after[..., 1] == start)
        assert np.any(was[..., 1] != start)
    assert b.shown()[3] == before[3] > 0


def test_healing_allocates() -> None:
    """Healing 1 of 512 tracks has a memory peak below 1 KiB, the bytes of one bool for each lane."""
    b = bench("".join(map(chr, range(1000, 1512))), *[0.5] * 512)
    lanes = np.arange(1024) == 600
    assert peak_bytes(lambda: b.processor.heal(0, lanes)) < 1024


def test_meters_start_again_after_an_edit() -> None:
    """Right after a bank of another order and one track more took over, every old track shows what it showed."""
    old, new = bench("ab", 0.9, 0.1), bench("xba", 0.5, 0.1, 0.9)
    old.play(clash(48000)[:25_600])
    assert new.processor.can_adopt(old.processor)
    new.processor.adopt(old.processor)
    for after, before, start in zip(new.shown()[:3], old.shown(), (0.0, 0.0, 1.0), strict=False):
        assert np.array_equal(after[..., [2, 1]], before)
        assert np.all(after[..., 0] == start)
    assert new.shown()[3] == old.shown()[3] > 0
    assert old.shown()[0].min() < -2.0


@pytest.mark.parametrize("rate_hz", [44100, 48000])
def test_restart_at_another_frame_moves_the_grid(rate_hz: int) -> None:
    """A processor whose first frame is 12 800, warmed before, gives the bits of one that heard silence until then."""
    late, whole = bench("ab", 0.9, 0.1, rate_hz=rate_hz), bench("ab", 0.9, 0.1, rate_hz=rate_hz)
    x = clash(rate_hz)[:25_600]
    whole.play(np.zeros((12_800, 4), np.float32))
    late.frame = whole.frame
    assert same_bits(late.play(x), whole.play(x))
    for after, truth in zip(late.shown()[:3], whole.shown(), strict=False):
        assert np.array_equal(after, truth)
    late.processor.reset()
    whole = bench("ab", 0.9, 0.1, rate_hz=rate_hz)
    whole.play(np.zeros((late.frame, 4), np.float32))
    assert same_bits(late.play(x), whole.play(x))
