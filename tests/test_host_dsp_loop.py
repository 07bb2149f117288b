import time
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from engine.host import dsp_loop
from engine.host.callback import HEARTBEAT, READ, UNDERRUNS, WRITTEN
from engine.host.compile_guard import CompileGuard
from engine.host.dsp_loop import DspLoop
from engine.host.framing import Decoder, Inbox
from engine.host.messenger import Messenger
from engine.host.protocol import encode
from engine.host.session import Session
from engine.messages import Built, Swap
from engine.meters import MeterTable
from engine.params import ParamTable
from engine.rendering import Renderer
from engine.slots import SLOT_CAPACITY
from engine.spec import StreamSpec
from tests.host_nodes import Sine
from tests.test_host_engine import graph_of

SPEC = StreamSpec(48_000, 128)


@pytest.fixture
def session() -> Iterator[Session]:
    session = Session.create()
    yield session
    session.close()


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Hurried:
    """A clock of a device that takes everything there is whenever it is asked, and more: always short."""

    name = device = "hurried"
    latency_s = input_latency_s = 0.0
    device_frames = 128

    def __init__(self, session: Session, turns: int, loop_s: Clock) -> None:
        self.session = session
        self.turns = turns
        self.clock = loop_s
        self.depths: list[int] = []

    def start(self) -> None:
        pass

    def advance(self) -> None:
        self.turns -= 1
        self.clock.now_s += 0.1
        self.depths.append(int(self.session.counters[WRITTEN]) - int(self.session.counters[READ]))
        self.session.counters[READ] = self.session.counters[WRITTEN]
        self.session.counters[UNDERRUNS] += 1

    def lost(self) -> bool:
        if self.turns == 0:
            raise StopIteration
        return False

    def abandon(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.mark.parametrize(("adapt", "deepest"), [(False, 2), (True, 16)])
def test_under_runs_make_the_ring_deeper_every_half_second_up_to_16_quanta(
    session: Session, monkeypatch: pytest.MonkeyPatch, adapt: bool, deepest: int
) -> None:
    """An under-run every 0.1 s: one quantum more in any five turns, none without `adapt`."""
    clock = Clock()
    monkeypatch.setattr(
        dsp_loop,
        "time",
        SimpleNamespace(monotonic=clock, sleep=lambda s: None, perf_counter=time.perf_counter),
    )
    renderer = Renderer(SPEC, session.params, np.zeros(SLOT_CAPACITY))
    loop = DspLoop(renderer, session, 2, lambda device: None, adapt)
    driver = Hurried(session, 120, clock)
    loop.begin(driver)
    with pytest.raises(StopIteration):
        loop.run()
    depths = [depth // 128 for depth in driver.depths]
    assert depths[0] == 2
    assert max(depths) == depths[-1] == deepest == session.snapshot(True).safety_quanta
    assert all(after - before in (0, 1) for before, after in zip(depths[:-5], depths[5:], strict=True))


class Full(Hurried):
    """A device that never takes anything."""

    def advance(self) -> None:
        self.turns -= 1


def test_the_heartbeat_grows_with_every_turn_also_when_nothing_is_asked_for(session: Session) -> None:
    renderer = Renderer(SPEC, session.params, np.zeros(SLOT_CAPACITY))
    loop = DspLoop(renderer, session, 2, lambda device: None)
    loop.begin(Full(session, 50, Clock()))
    with pytest.raises(StopIteration):
        loop.run()
    assert int(session.counters[HEARTBEAT]) == 50
    assert renderer.frame == 2 * 128


class Far(Hurried):
    """A device that takes all there is and lets it be heard 2 s later."""

    latency_s = 2.0

    def advance(self) -> None:
        self.session.counters[READ] = self.session.counters[WRITTEN]

    def lost(self) -> bool:
        return False


def test_the_heartbeat_stands_still_while_the_last_of_the_sound_is_on_its_way(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All naps after the end are 2 s together, none is longer than a quarter of a quantum, each has its beat."""
    clock = Clock()
    naps: list[tuple[float, int]] = []

    def sleep(nap_s: float) -> None:
        naps.append((nap_s, int(session.counters[HEARTBEAT])))
        clock.now_s += nap_s

    monkeypatch.setattr(
        dsp_loop, "time", SimpleNamespace(monotonic=clock, sleep=sleep, perf_counter=time.perf_counter)
    )
    renderer = Renderer(SPEC, session.params, np.zeros(SLOT_CAPACITY))
    loop = DspLoop(renderer, session, 2, lambda device: None)
    loop.begin(Far(session, 0, clock))
    loop.close_soon(128)
    loop.run()
    assert max(nap_s for nap_s, _ in naps) <= SPEC.quantum_s / 4
    assert 2.0 <= sum(nap_s for nap_s, _ in naps) < 2.0 + 10 * SPEC.quantum_s
    assert [beat for _, beat in naps] == list(range(1, len(naps) + 1))


def test_only_what_is_new_is_copied_to_the_parameters_that_the_renderer_reads(session: Session) -> None:
    """A node kept over a swap still sees 0.5, what it was when it came; the new node is built with 0.25."""
    snapshot = np.zeros(SLOT_CAPACITY)
    renderer = Renderer(SPEC, session.params, snapshot)
    loop = DspLoop(renderer, session, 2, lambda device: None)
    guard = CompileGuard(lambda: 0)
    messenger = Messenger(Inbox(0), [], 1, session, renderer, snapshot, loop, guard)
    graph = graph_of(Sine())
    params = ParamTable.of(graph.params(), memory=session.params)
    meters = MeterTable.of(graph.meters(), memory=session.meters)
    messenger._take(*Decoder().feed(encode(Swap(1, graph, params.slot_map, meters.slot_map))))
    params.set("source.gain", 1.0)
    graph.add("other", Sine())
    params = ParamTable.of(graph.params(), previous=params)
    meters = MeterTable.of(graph.meters(), previous=meters)
    params.set("other.gain", 0.25)
    messenger._take(*Decoder().feed(encode(Swap(2, graph, params.slot_map, meters.slot_map))))
    assert [type(message) for message in messenger._outbox] == [Built, Built]
    assert snapshot[params.row("source.gain").slot] == 0.5
    assert snapshot[params.row("other.gain").slot] == 0.25
