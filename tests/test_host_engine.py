import os
import signal
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from engine.clips import ClipStore
from engine.errors import HostError
from engine.events import EventQueue
from engine.host.devices import list_devices
from engine.host.engine_handle import EngineHandle
from engine.host.shm import Segment
from engine.inputs import InputRing
from engine.messages import Built, Fault, Notice, Refused, Started, Stopped, Swapped
from engine.meters import MeterTable
from engine.node import BuildContext, Node
from engine.params import ParamTable
from engine.rendering import Graph, Renderer, compile_plan
from engine.slots import SLOT_CAPACITY
from engine.spec import StreamSpec
from tests.host_nodes import Broken, Clip, Sine, Stall, Talkative

SPEC = StreamSpec(48_000, 128)
START_S = 30.0
SHARED_MEMORY = Path("/dev/shm")


def graph_of(node: Node) -> Graph:
    graph = Graph()
    graph.add("source", node)
    graph.set_output("source")
    return graph


def load(handle: EngineHandle, graph: Graph) -> ParamTable:
    params = ParamTable.of(graph.params(), memory=handle.params)
    meters = MeterTable.of(graph.meters(), memory=handle.meters)
    handle.swap(graph, params.slot_map, meters.slot_map)
    return params


def begin(handle: EngineHandle, node: Node) -> ParamTable:
    params = load(handle, graph_of(node))
    handle.start()
    handle.wait_for(Started, START_S)
    handle.wait_for(Swapped, START_S)
    return params


def wait_until_dead(pid: int, within_s: float = 10.0) -> None:
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return
        except OSError:
            return
        time.sleep(0.02)
    raise AssertionError(f"the engine {pid} still runs")


class Unreadable:
    """Pickles, and cannot be read again: the engine has no such module."""

    def __reduce__(self) -> tuple[object, ...]:
        return (import_module, ("nowhere_to_be_found",))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of all segments that this process makes; at the end of the test none may be left."""
    names: list[str] = []
    create = Segment.create

    def noted(size_bytes: int) -> Segment:
        segment = create(size_bytes)
        names.append(segment.name)
        return segment

    monkeypatch.setattr(Segment, "create", noted)
    yield names
    assert names
    assert not [name for name in names if (SHARED_MEMORY / name).exists()]


@pytest.fixture
def handle(made: list[str]) -> Iterator[EngineHandle]:
    with EngineHandle(SPEC, driver="null") as handle:
        yield handle


def test_what_arrives_in_the_ring_is_what_a_renderer_renders_here_bit_for_bit(handle: EngineHandle) -> None:
    table = begin(handle, Sine(997.0))
    tap = handle.tap()
    handle.stop(2400, at_frame=24_000)
    pieces = []
    while not (stopped := [m for m in handle.poll() if isinstance(m, Stopped)]):
        pieces.append(tap.read())
        time.sleep(0.02)
    heard = np.concatenate([*pieces, tap.read()])

    graph = graph_of(Sine(997.0))
    meters = MeterTable.of(graph.meters())
    snapshot = table.memory.copy()
    renderer = Renderer(SPEC, table.memory, snapshot)
    context = BuildContext(
        "",
        SPEC,
        ClipStore(),
        (EventQueue(),),
        InputRing(),
        table.slot_map,
        snapshot,
        meters.slot_map,
        np.zeros(SLOT_CAPACITY),
    )
    renderer.swap(compile_plan(graph, context))
    renderer.stop(2400, at_frame=24_000)
    expected = np.zeros_like(heard)
    for frame in range(0, len(heard), 128):
        renderer.render(expected[frame : frame + 128])
    np.testing.assert_array_equal(heard, expected)
    assert tap.lost_frames == 0
    assert stopped[0].frame == len(heard) >= 26_400


def test_a_parameter_and_a_meter_cross_between_the_processes(handle: EngineHandle) -> None:
    graph = graph_of(Sine())
    params = ParamTable.of(graph.params(), memory=handle.params)
    meters = MeterTable.of(graph.meters(), memory=handle.meters)
    handle.swap(graph, params.slot_map, meters.slot_map)
    handle.start()
    handle.wait_for(Started, START_S)
    params.set("source.gain", 0.125)
    until_s = time.monotonic() + 5.0
    while meters.read("source", "level")[0] != 0.125 and time.monotonic() < until_s:
        time.sleep(0.01)
    assert meters.read("source", "level")[0] == 0.125


def test_a_clip_crosses_in_shared_memory_unchanged(handle: EngineHandle) -> None:
    random = np.random.default_rng(4)
    clips = {n: random.uniform(-1, 1, (4800 + n, 2)).astype(np.float32) for n in (3, 7)}
    handle.share_clips(clips)
    begin(handle, Clip())
    tap = handle.tap()
    time.sleep(0.3)
    np.testing.assert_array_equal(tap.read()[:4807], clips[7])


def test_the_null_clock_keeps_real_time(handle: EngineHandle) -> None:
    begin(handle, Sine())
    began_s, first = time.monotonic(), handle.statistics().frame_heard
    time.sleep(1.5)
    statistics = handle.statistics()
    frames = statistics.frame_heard - first
    assert frames == pytest.approx((time.monotonic() - began_s) * 48_000, abs=2400)
    assert 0.0 < statistics.load_mean < 1.0
    # Two counters of an engine that goes on: one is read after the other.
    assert abs(statistics.quanta - statistics.frame_rendered // 128) <= 1


def test_a_broken_node_is_told_once_a_second_and_the_engine_plays_on(handle: EngineHandle) -> None:
    begin(handle, Broken())
    fault = handle.wait_for(Fault, START_S)
    assert (fault.node, fault.what) == ("source", "ValueError: out of order")
    time.sleep(0.3)
    assert not [m for m in handle.poll() if isinstance(m, Fault)]
    assert handle.statistics().alive


def test_every_swap_is_built_and_then_played_alone_under_its_own_number(handle: EngineHandle) -> None:
    numbers = []
    for frequency_hz in (500.0, 600.0, 700.0):
        load(handle, graph_of(Sine(frequency_hz)))
        numbers.append(handle.wait_for(Built, START_S).number)
    assert numbers == [1, 2, 3]
    time.sleep(0.3)
    assert not [m for m in handle.poll() if isinstance(m, Swapped)]
    handle.start()
    assert [handle.wait_for(Swapped, START_S).number for _ in range(3)] == numbers


def test_a_graph_that_cannot_be_built_is_refused_by_number_and_what_plays_goes_on(
    handle: EngineHandle,
) -> None:
    params = begin(handle, Sine())
    number = handle.swap(Graph(), params.slot_map, params.slot_map)
    assert handle.wait_for(Refused, START_S) == Refused(number, "the graph has no output")
    before = handle.statistics().frame_heard
    time.sleep(0.2)
    assert handle.statistics().frame_heard > before


def test_a_graph_whose_classes_cannot_be_imported_is_refused_by_number(handle: EngineHandle) -> None:
    params = begin(handle, Sine())
    number = handle.swap(Unreadable(), params.slot_map, params.slot_map)
    refused = handle.wait_for(Refused, START_S)
    assert refused.number == number
    assert "ModuleNotFoundError" in refused.what


def test_a_first_graph_that_cannot_be_built_fails_with_its_reason(handle: EngineHandle) -> None:
    params = ParamTable.of([])
    handle.swap(Graph(), params.slot_map, params.slot_map)
    with pytest.raises(HostError, match="the graph has no output"):
        handle.wait_for(Swapped, START_S)


def test_a_stall_is_counted_noted_where_it_was_and_one_late_quantum(handle: EngineHandle) -> None:
    """The ring runs dry after frame 12 800 and what was ahead; the null clock misses most of 60 ms, 2880 frames."""
    graph = Graph()
    graph.add("sine", Sine())
    graph.add("stall", Stall(at_frame=12_800))
    graph.chain("sine", "stall")
    graph.set_output("stall")
    load(handle, graph)
    handle.start()
    handle.wait_for(Started, START_S)
    time.sleep(0.6)
    statistics = handle.statistics()
    assert statistics.underruns >= 1
    assert statistics.late_quanta >= 1
    assert statistics.load_max > 20.0
    noted = handle.underruns_since(0)
    assert len(noted) == statistics.underruns
    stall = [frames for frame, frames, _ in noted if 12_800 <= frame <= 12_800 + 512]
    assert stall
    assert stall[0] > 1000
    assert {interval_us for *_, interval_us in noted} == {-1}
    assert handle.underruns_since(len(noted)) == []


def test_after_underruns_an_adaptive_engine_works_further_ahead_and_says_so(made: list[str]) -> None:
    """At least 3 quanta instead of 2 after a stall of 60 ms, and no fewer in the engine that follows."""
    with EngineHandle(SPEC, driver="null", safety_quanta=2, adapt=True) as handle:
        graph = graph_of(Sine())
        graph.add("stall", Stall(at_frame=12_800))
        graph.chain("source", "stall")
        graph.set_output("stall")
        load(handle, graph)
        handle.start()
        handle.wait_for(Started, START_S)
        notice = handle.wait_for(Notice, START_S)
        assert "the sound was late: working " in notice.text
        quanta = handle.statistics().safety_quanta
        assert 3 <= quanta <= 16
        handle.restart()
        handle.wait_for(Started, START_S)
        assert handle.statistics().safety_quanta >= quanta


def test_ctrl_c_does_not_reach_the_engine(handle: EngineHandle) -> None:
    begin(handle, Sine())
    os.kill(handle.pid, signal.SIGINT)
    time.sleep(0.2)
    assert handle.statistics().alive


@pytest.mark.usefixtures("made")
def test_close_ends_an_engine_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.host import child_process, engine_handle

    monkeypatch.setattr(engine_handle, "QUIT_S", 0.3)
    monkeypatch.setattr(child_process, "TERMINATE_S", 0.3)
    handle = EngineHandle(SPEC, driver="null")
    begin(handle, Sine())
    os.kill(handle.pid, signal.SIGSTOP)
    began_s = time.monotonic()
    handle.close()
    assert time.monotonic() - began_s < 5.0
    wait_until_dead(handle.pid)


def test_a_handle_that_is_closed_takes_nothing_more_and_leaves_no_shared_memory(made: list[str]) -> None:
    """One segment in all: that of the session, which is gone."""
    handle = EngineHandle(SPEC, driver="null", spare=False)
    handle.close()
    with pytest.raises(HostError, match="the show is closed"):
        handle.share_clips({0: np.zeros((100, 2), np.float32)})
    with pytest.raises(HostError, match="the show is closed"):
        load(handle, graph_of(Sine()))
    assert len(made) == 1


def test_what_libraries_print_does_not_get_between_the_messages(handle: EngineHandle) -> None:
    begin(handle, Talkative())
    assert handle.statistics().alive


@pytest.mark.usefixtures("no_audio")
def test_without_a_device_the_engine_plays_on_silently_and_says_so_in_one_line() -> None:
    if any(device.output_channels for device in list_devices()):
        pytest.skip("this machine has an audio device")
    with EngineHandle(SPEC) as handle:
        load(handle, graph_of(Sine()))
        handle.start()
        assert handle.wait_for(Started, START_S).driver == "null"
        notice = handle.wait_for(Notice, 1.0)
        assert "playing silently to the null clock" in notice.text
        assert "roomtone devices" in notice.text
        assert "\n" not in notice.text


@pytest.mark.usefixtures("no_audio")
def test_a_named_device_that_is_not_there_ends_the_engine_with_a_reason() -> None:
    with EngineHandle(SPEC, device="flute") as handle:
        load(handle, graph_of(Sine()))
        handle.start()
        with pytest.raises(
            HostError, match=r"no audio device found|no output device 'flute'|library is missing"
        ):
            handle.wait_for(Started, START_S)
