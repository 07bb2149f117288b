"""Another engine in the place of one that crashed, hangs or was stopped; and what is left when all are gone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.errors import HostError
from engine.host import child_process, spare
from engine.host.callback import UNDERRUNS
from engine.host.child import python_environment
from engine.host.engine_handle import EngineHandle
from engine.host.session import Underrun
from engine.messages import Built, Failed, Fault, Notice, Refused, Started, Stopped, Swapped
from engine.rendering import Graph
from tests.host_nodes import Clip, Deadly, Hang, LateCompiler, Sine
from tests.test_host_engine import (
    SHARED_MEMORY,
    SPEC,
    START_S,
    begin,
    graph_of,
    load,
    made,
    wait_until_dead,
)

__all__ = ["made"]

MODULES = ("tests.host_nodes",)
NO_BLOCK_S = 2.0
"""What must not wait for an engine that does not answer takes less than this, even here."""


def wait_until(condition: Callable[[], object], within_s: float = START_S) -> None:
    until_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.01)


def engines() -> set[int]:
    """Return the engine processes this one has started, zombies included."""
    done = subprocess.run(
        ["ps", "-o", "pid=,stat=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True
    )
    rows = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    return {int(pid) for pid, state, args in rows if "engine.host" in args or "Z" in state}


@pytest.fixture
def handle(made: list[str]) -> Iterator[EngineHandle]:
    with EngineHandle(SPEC, driver="null") as handle:
        yield handle
    assert not engines()


def test_a_killed_engine_is_told_of_and_a_new_one_goes_on_where_it_was(handle: EngineHandle) -> None:
    begin(handle, Sine(500.0))
    tap = handle.tap()
    time.sleep(0.3)
    os.kill(handle.pid, signal.SIGKILL)
    wait_until(handle.died)
    assert handle.died() == "by signal 9"
    assert not [m for m in handle.poll() if isinstance(m, Failed)]
    assert not handle.statistics().alive
    with pytest.raises(HostError, match="the engine process ended by signal 9"):
        handle.wait_for(Stopped, START_S)
    handle.restart()
    handle.wait_for(Started, START_S)
    assert handle.wait_for(Swapped, START_S).number == 1
    time.sleep(0.3)
    sound = tap.read()
    expected = 0.5 * np.sin(np.arange(len(sound)) * 2 * np.pi * 500.0 / 48_000)
    np.testing.assert_allclose(sound[:, 0], expected, atol=1e-5)


def test_an_engine_s_death_is_told_with_its_last_words(handle: EngineHandle) -> None:
    begin(handle, Sine())
    os.kill(handle.pid, signal.SIGABRT)
    wait_until(handle.died)
    assert str(handle.died()).startswith("by signal 6")


def test_a_spare_takes_over_at_the_same_frame_and_another_gets_ready(handle: EngineHandle) -> None:
    clip = np.random.default_rng(4).uniform(-1, 1, (1_440_000, 2)).astype(np.float32)
    handle.share_clips({7: clip})
    begin(handle, Clip())
    handle.ready_spare(MODULES)
    wait_until(lambda: handle.spare_ready)
    waiting = handle.spare_pid
    first = handle.frame
    tap = handle.tap(first)
    dead = handle.pid
    os.kill(dead, signal.SIGKILL)
    handle.restart()
    assert handle.pid == waiting
    assert not Path(f"/proc/{dead}").exists()
    handle.wait_for(Started, START_S)
    time.sleep(0.3)
    sound = tap.read()
    assert len(sound) > 10_000
    np.testing.assert_array_equal(sound, clip[first : first + len(sound)])
    wait_until(lambda: (handle.poll(), handle.spare_ready)[1])
    assert handle.spare_pid != waiting


def test_a_spare_touches_neither_audio_nor_shared_memory_while_it_waits(handle: EngineHandle) -> None:
    handle.ready_spare(MODULES)
    wait_until(lambda: handle.spare_ready)
    maps = Path(f"/proc/{handle.spare_pid}/maps").read_text()
    assert "portaudio" not in maps
    assert "jack" not in maps
    assert "/dev/shm" not in maps


def test_the_main_thread_of_a_spare_has_the_priority_of_any_process(handle: EngineHandle) -> None:
    """Niceness 0, policy SCHED_OTHER: without rights it could not get these back when it takes over."""
    handle.ready_spare(MODULES)
    wait_until(lambda: handle.spare_ready)
    pid = handle.spare_pid
    assert pid is not None
    assert os.getpriority(os.PRIO_PROCESS, pid) == os.getpriority(os.PRIO_PROCESS, 0)
    assert os.sched_getscheduler(pid) == os.SCHED_OTHER


def test_a_spare_that_dies_is_replaced(handle: EngineHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare, "RETRY_S", 0.1)
    handle.ready_spare(MODULES)
    dead = handle.spare_pid
    assert dead is not None
    os.kill(dead, signal.SIGKILL)
    wait_until_dead(dead)
    wait_until(lambda: (handle.poll(), handle.spare_ready)[1])
    assert handle.spare_pid != dead


def test_a_spare_that_is_not_ready_takes_over_as_soon_as_it_is(handle: EngineHandle) -> None:
    begin(handle, Sine())
    handle.ready_spare(MODULES)
    unready = handle.spare_pid
    handle.restart()
    assert handle.pid == unready
    handle.wait_for(Started, START_S)


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_an_engine_that_stands_still_is_ended_at_once_and_followed(
    handle: EngineHandle, how: signal.Signals
) -> None:
    begin(handle, Sine())
    old = handle.pid
    os.kill(old, how)
    began_s = time.monotonic()
    handle.end_engine()
    assert time.monotonic() - began_s < NO_BLOCK_S
    wait_until_dead(old)
    frame = handle.frame
    assert handle.statistics().frame_rendered == frame > 0
    handle.revive()
    handle.wait_for(Started, START_S)
    wait_until(lambda: handle.statistics().frame_heard > frame)


def test_a_hang_shows_in_the_heartbeat_which_else_grows_on_a_full_ring_too(handle: EngineHandle) -> None:
    begin(handle, Hang(at_frame=24_000 // 128 * 128))
    first = handle.statistics()
    assert first.started
    wait_until(lambda: handle.statistics().heartbeat > first.heartbeat + 20)
    wait_until(lambda: handle.frame == 24_000 // 128 * 128)
    time.sleep(0.1)
    hung = handle.statistics()
    time.sleep(0.3)
    assert handle.statistics().heartbeat == hung.heartbeat
    assert handle.statistics().alive
    handle.end_engine()
    assert not handle.statistics().started


def test_a_refused_graph_is_not_what_the_next_engine_plays(handle: EngineHandle) -> None:
    params = begin(handle, Sine())
    handle.swap(Graph(), params.slot_map, params.slot_map)
    time.sleep(0.5)
    handle.restart()
    assert handle.wait_for(Swapped, START_S).number == 1


def test_a_graph_that_kills_the_engine_is_refused_and_what_played_before_plays_on(
    handle: EngineHandle,
) -> None:
    begin(handle, Sine())
    load(handle, graph_of(Deadly()))
    wait_until(handle.died)
    handle.restart()
    assert handle.wait_for(Refused, START_S) == Refused(2, "the engine crashed over it")
    assert handle.wait_for(Swapped, START_S).number == 1


def test_a_graph_on_its_way_when_an_engine_is_replaced_is_built_by_the_next(handle: EngineHandle) -> None:
    begin(handle, Sine(500.0))
    os.kill(handle.pid, signal.SIGSTOP)
    load(handle, graph_of(Sine(600.0)))
    handle.restart()
    assert handle.wait_for(Swapped, START_S).number == 2


def test_a_stop_that_was_asked_for_holds_for_the_next_engine_too(handle: EngineHandle) -> None:
    begin(handle, Sine())
    at_frame = handle.frame + 48_000
    handle.stop(480, at_frame)
    handle.restart()
    assert handle.wait_for(Stopped, START_S).frame >= at_frame + 480


def test_changed_wishes_hold_for_this_revival_and_the_next(handle: EngineHandle) -> None:
    begin(handle, Sine())
    for quanta in (5, None):
        handle.restart(safety_quanta=quanta)
        handle.wait_for(Started, START_S)
        assert handle.statistics().safety_quanta == 5


def test_underruns_are_counted_over_all_engines(handle: EngineHandle) -> None:
    begin(handle, Sine())
    handle._session.underruns[0] = 640, 17, 2667
    handle._session.counters[UNDERRUNS] = 1
    handle.restart()
    assert handle.underruns_since(0)[0] == Underrun(frame=640, frames=17, interval_us=2667)


def mapped_bytes(pid: int, name: str) -> int:
    total = 0
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        if name in line:
            begin, end = (int(part, 16) for part in line.split()[0].split("-"))
            total += end - begin
    return total


def test_unloaded_clips_leave_no_mapping_in_either_process(handle: EngineHandle, made: list[str]) -> None:
    """Two clips of 4 MB in one segment, one in another: the segment goes with the second."""
    clip = np.zeros((500_000, 2), np.float32)
    handle.share_clips({1: clip, 2: clip})
    handle.share_clips({3: clip})
    begin(handle, Sine())
    pair, single = made[1:]
    pids = (handle.pid, os.getpid())
    assert [mapped_bytes(pid, pair) > 8_000_000 for pid in pids] == [True, True]
    handle.unload([1])
    handle.unload([2])
    wait_until(lambda: (handle.poll(), not any(mapped_bytes(pid, pair) for pid in pids))[1])
    assert not (SHARED_MEMORY / pair).exists()
    assert all(mapped_bytes(pid, single) for pid in pids)
    handle.restart()
    handle.wait_for(Started, START_S)
    assert mapped_bytes(handle.pid, single)
    assert not [m for m in handle.poll() if isinstance(m, Notice | Failed)]


def test_a_clip_that_is_unloaded_before_it_was_ever_loaded_is_no_failure(handle: EngineHandle) -> None:
    """The engine is told to load it when its memory may be gone again."""
    for number in range(20):
        handle.share_clips({number: np.zeros((1000, 2), np.float32)})
        handle.unload([number])
    begin(handle, Sine())
    assert not [m for m in handle.poll() if isinstance(m, Notice | Failed)]


def test_a_number_that_was_unloaded_can_be_shared_again_and_one_that_was_not_cannot(
    handle: EngineHandle,
) -> None:
    clip = np.full((24_000, 2), 0.25, np.float32)
    handle.share_clips({7: np.zeros((24_000, 2), np.float32)})
    with pytest.raises(ValueError, match="there is a clip 7 already"):
        handle.share_clips({7: clip})
    handle.unload([7])
    handle.share_clips({7: clip})
    begin(handle, Clip())
    time.sleep(0.2)
    assert (handle.tap(0).read()[:1000] == 0.25).all()


@pytest.mark.parametrize("as_kernel", [False, True])
def test_what_is_compiled_while_playing_is_one_fault_and_what_was_before_is_none(
    handle: EngineHandle, as_kernel: bool
) -> None:
    begin(handle, Sine())
    load(handle, graph_of(LateCompiler(as_kernel=as_kernel)))
    fault = handle.wait_for(Fault, START_S)
    assert fault.node == "compiler"
    assert fault.what == "tests.host_nodes._double was compiled or loaded while playing"
    handle.wait_for(Built, START_S)
    time.sleep(0.3)
    assert not [m for m in handle.poll() if isinstance(m, Fault)]
    handle.restart()
    handle.wait_for(Started, START_S)
    handle.wait_for(Swapped, START_S)
    time.sleep(0.3)
    assert not [m for m in handle.poll() if isinstance(m, Fault)]


def test_messenger_and_dsp_loop_have_real_time_priority_where_it_is_granted(handle: EngineHandle) -> None:
    """SCHED_FIFO 10 for the DSP loop and 5 for the messenger, nobody else; or a line that says it was refused."""
    load(handle, graph_of(Sine()))
    handle.start()
    rights = handle.wait_for(Started, START_S).rights
    threads = [int(name) for name in os.listdir(f"/proc/{handle.pid}/task")]
    policies = [os.sched_getscheduler(thread) & ~os.SCHED_RESET_ON_FORK for thread in threads]
    priorities = [
        os.sched_getparam(t).sched_priority
        for t, policy in zip(threads, policies, strict=True)
        if policy == os.SCHED_FIFO
    ]
    if "real-time" in rights:
        assert priorities == []
    else:
        assert sorted(priorities) == ([5, 10] if (os.cpu_count() or 1) > 1 else [10])


def test_a_killed_process_that_is_slow_to_go_is_left_to_a_thread(
    handle: EngineHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that a driver holds in the kernel: `end_engine` comes back, and no zombie stays."""
    begin(handle, Sine())
    old = handle.pid
    monkeypatch.setattr(child_process, "REAP_S", 0.0)
    monkeypatch.setattr(handle._child, "_ended_within", lambda timeout_s: False)
    handle.end_engine()
    wait_until(lambda: not Path(f"/proc/{old}").exists())
    monkeypatch.undo()
    handle.revive()
    handle.wait_for(Started, START_S)


CONTROL = """
import sys, time
from engine.host.engine_handle import EngineHandle
from engine.spec import StreamSpec
from tests.test_host_engine import begin
from tests.host_nodes import Sine
handle = EngineHandle(StreamSpec(), driver="null")
begin(handle, Sine())
handle.ready_spare(("tests.host_nodes",))
while sys.argv[1] == "ready" and not handle.spare_ready:
    time.sleep(0.01)
print(handle.pid, handle.spare_pid, handle._session.segment.name, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("spare_is", ["ready", "importing"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_engine_and_no_memory_is_left_when_the_control_process_dies(
    how: signal.Signals, spare_is: str, tmp_path: Path
) -> None:
    control = subprocess.Popen(
        [sys.executable, "-c", CONTROL, spare_is],
        env=python_environment(),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert control.stdout is not None
    *pids, name = control.stdout.readline().split()
    control.send_signal(how)
    control.wait(15)
    for pid in pids:
        wait_until_dead(int(pid), START_S)
    until_s = time.monotonic() + 5.0
    while (SHARED_MEMORY / name).exists() and time.monotonic() < until_s:
        time.sleep(0.02)
    assert not (SHARED_MEMORY / name).exists()
