"""A show through all that can happen to it: engines that die or hang, scenes that change, a transport that stops."""

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks.soak_live import children, segments
from engine.control.bounce import bounce
from engine.control.incidents import Incident
from engine.control.show import Show
from engine.errors import InputError, SceneError
from engine.messages import Failed
from engine.scene.composition import compose
from engine.scene.load import loads
from engine.scene.schema import Scene
from tests.scenes import built_in, small

RATE_HZ = 48_000


def until(what: Callable[[], bool], show: Show, timeout_s: float = 20.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not what():
        show.check()
        assert time.monotonic() < end_s, show.notices
        time.sleep(0.01)


@contextlib.contextmanager
def playing(**options: object) -> Iterator[Show]:
    before, processes = segments(), set(children())
    with Show(small(), driver="null", log=None, **options) as show:  # type: ignore[arg-type]
        yield show
    assert segments() <= before
    assert set(children()) <= processes


def incidents(show: Show) -> list[Incident]:
    """What happened but for under-runs, which a machine that stalls may add anywhere."""
    return [incident for incident in show.incidents.all if incident.kind not in ("underrun", "notice")]


def kinds(show: Show) -> list[str]:
    return [incident.kind for incident in incidents(show)]


def told(show: Show) -> list[str]:
    return [incident.text for incident in incidents(show)]


def kill(show: Show, how: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to the engine and wait until another one plays."""
    pid, frame, before = show._engine.pid, show.frame, kinds(show).count("engine-back")
    os.kill(pid, how)
    until(lambda: kinds(show).count("engine-back") > before and show.frame > frame + 480, show)
    assert show._engine.pid != pid


def test_a_killed_engine_is_replaced_and_the_show_goes_on_as_it_was(tmp_path: Path) -> None:
    """Twice. Frame, parameters, seed and recording go on; every incident is one line and one JSON object."""
    take = tmp_path / "take.wav"
    log = tmp_path / "log.jsonl"
    with Show(small(), driver="null", record=take, log=log) as show:
        show.wait(0.6)
        show.set("room.wet_level", 0.75)
        for _ in range(2):
            frame, position = show.frame, show.position_s
            kill(show)
            assert show.frame > frame
            assert show.position_s >= position
            assert show.get("room.wet_level") == 0.75
            show.wait(0.3)
        assert kinds(show) == ["engine-died", "engine-back"] * 2
        assert told(show)[0] == "the engine ended by signal 9: a new one takes over"
        frames = show.frame
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["kind"] for line in lines if line["kind"].startswith("engine")] == kinds(show)
    assert soundfile.info(take).frames >= frames
    sidecar = json.loads((tmp_path / "take.wav.json").read_text())
    assert [i["kind"] for i in sidecar["incidents"] if i["kind"].startswith("engine")] == kinds(show)
    assert sidecar["frames"] == soundfile.info(take).frames


def test_what_sounded_when_an_engine_died_sounds_again(tmp_path: Path) -> None:
    """Dry, after the rise at the entry, the recording has the samples of a show that was never interrupted."""
    take = tmp_path / "take.wav"
    settings = {"room.wet_level": 0.0, "unmask.amount": 0.0, "loudness.trim_range_db": 0.0}
    with Show(small(), driver="null", record=take, log=None, settings=settings) as show:
        show.wait(0.8)
        frame = show.frame
        kill(show)
        show.wait(1.5)
    heard = soundfile.read(take, dtype="float32")[0]
    rendered = bounce(small(), endless=True, duration_s=len(heard) / RATE_HZ, settings=settings).samples
    assert rendered is not None
    np.testing.assert_array_equal(heard[: frame - 1024], rendered[: frame - 1024])
    after = slice(frame + 48_000, len(heard) - 9600)
    assert np.abs(rendered[after]).max() > 1e-3
    # The glue compressor remembers 200 ms or so; a second later that is over.
    np.testing.assert_allclose(heard[after], rendered[after], atol=2e-4)


def test_an_engine_that_hangs_is_replaced() -> None:
    with playing() as show:
        show.wait(0.5)
        kill(show, signal.SIGSTOP)
        assert kinds(show) == ["engine-hung", "engine-back"]


def test_an_engine_that_fails_by_itself_is_replaced() -> None:
    with playing() as show:
        show.wait(0.3)
        show._engine._child.deliver(Failed("ValueError: the loop broke"))
        until(lambda: "engine-back" in kinds(show), show)
        assert kinds(show) == ["engine-failed", "engine-back"]
        assert told(show)[0] == "ValueError: the loop broke: a new one takes over"


def test_changes_from_many_threads_while_engines_die_leave_a_show_that_plays() -> None:
    """Parameters, seeks, pauses and scenes from four threads, three dead engines: it plays on, and all changes end."""
    with playing() as show:
        leaving = threading.Event()
        errors: list[BaseException] = []

        def work(number: int) -> None:
            rng = np.random.default_rng(number)
            while not leaving.is_set():
                try:
                    action = int(rng.integers(5))
                    if action == 0:
                        show.set("glue.threshold_db", float(rng.uniform(-40.0, 0.0)))
                    elif action == 1:
                        show.seek(int(rng.integers(0, 480_000)))
                    elif action == 2:
                        show.play() if show.paused else show.pause()
                    elif action == 3:
                        with contextlib.suppress(InputError):
                            show.go((small(), built_in("harbour"))[int(rng.integers(2))], 0.2)
                    else:
                        show.masking()
                    time.sleep(float(rng.uniform(0.0, 0.1)))
                except BaseException as error:
                    errors.append(error)
                    return

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            show.wait(0.5)
            kill(show)
        leaving.set()
        for thread in threads:
            thread.join()
        assert errors == []
        until(lambda: not show.changing, show)
        show.play()
        show.wait(0.5)
        assert show.meters.read("meter", "peak").max() > 1e-4


def test_without_a_spare_a_killed_engine_is_replaced_as_well() -> None:
    with playing(spare=False) as show:
        show.wait(0.3)
        kill(show)
        assert kinds(show) == ["engine-died", "engine-back"]


def test_a_show_that_is_ending_when_its_engine_dies_still_ends() -> None:
    with playing() as show:
        show.wait(0.3)
        show.stop(at_frame=show.frame + RATE_HZ // 2)
        os.kill(show._engine.pid, signal.SIGKILL)
        show.wait(20.0)
        assert show.stopped


def test_a_scene_change_goes_through_an_engine_that_dies_in_the_middle_of_it() -> None:
    with playing() as show:
        show.wait(0.3)
        show.go(built_in("harbour"), 1.0)
        show.wait(0.5)
        kill(show)
        until(lambda: not show.changing, show)
        assert show.meters.read("meter", "peak").max() > 1e-4


def test_show_go_takes_parameters_meters_and_title_with_it() -> None:
    with playing(spare=False) as show:
        other = built_in("harbour").scene
        show.go(other, 0.5)
        until(lambda: not show.changing, show)
        assert show.composition.scene.title == other.title
        track = show.composition.tracks[-1].name
        show.set(f"mix.{track}.panning", 0.25)
        assert show.get(f"mix.{track}.panning") == 0.25
        assert len(show.masking().labels) == len(show.composition.tracks)
        show.wait(0.5)
        assert show.meters.read("tracks", "voices")[0] > 0


def test_what_cannot_be_gone_to_leaves_the_sound_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "scene.yaml"
    path.write_text("objects: [{label: car, importance: 7}]\n")
    with playing(spare=False) as show:
        with pytest.raises(SceneError):
            show.go(Scene.load(path))
        with pytest.raises(InputError, match=r"seconds: -1 seconds; 0 to 600"):
            show.go(small(), -1.0)
        show.wait(0.2)
        assert kinds(show) == []
        assert show.composition.scene.title == small().scene.title


def test_pause_play_and_seek() -> None:
    with playing(spare=False) as show:
        show.wait(0.4)
        show.pause()
        show.wait(0.3)
        assert show.paused
        position = show.position_s
        show.wait(0.3)
        assert show.position_s == position
        show.seek(10 * RATE_HZ)
        assert show.position_s == 10.0
        show.play()
        show.wait(0.3)
        assert not show.paused
        assert 10.0 <= show.position_s < 12.0
        with pytest.raises(InputError, match="0 to 4147200000, a day"):
            show.seek(-1)


def test_an_underrun_is_marked_in_the_sidecar_at_its_frame(tmp_path: Path) -> None:
    """The engine is stopped for 0.3 s, less than a hang; the recording itself has no gap."""
    take = tmp_path / "take.wav"
    with Show(small(), driver="null", record=take, log=None, spare=False) as show:
        show.wait(0.5)
        frame = show.frame
        os.kill(show._engine.pid, signal.SIGSTOP)
        time.sleep(0.3)
        os.kill(show._engine.pid, signal.SIGCONT)
        show.wait(0.5)
    sidecar = json.loads((tmp_path / "take.wav.json").read_text())
    marks = [u for u in sidecar["underruns"] if u["frames"] > 4800]
    assert marks
    assert abs(marks[0]["frame"] - frame) < 9600
    heard = soundfile.read(take, dtype="float32")[0]
    rendered = bounce(small(), endless=True, duration_s=0.9).samples
    assert rendered is not None
    np.testing.assert_array_equal(heard[:43_200], rendered)


def test_a_show_says_what_it_is_and_can_be_used_without_a_with_block() -> None:
    """As in a notebook: start, look, close."""
    show = Show(small(), driver="null", log=None, spare=False)
    assert "not started" in repr(show)
    assert show.start() is show
    show.wait(0.2)
    assert "null clock, at 0." in repr(show)
    show.pause()
    assert "paused" in repr(show)
    show.close()


def test_a_scene_with_a_live_input_has_its_kernel_loaded_while_it_plays() -> None:
    """Where the device has an input, whatever such a scene needs is there before anything plays."""
    listening = compose(
        loads("title: Mic\nduration: 5\nobjects:\n  - {label: mic, sound: 'input:1'}\n"), rate_hz=RATE_HZ
    )
    with playing(input_channels=1) as show:
        show.wait(0.3)
        show.go(listening, 0.1)
        until(lambda: not show.changing, show)
        assert show.composition.scene.title == "Mic"
        assert not [text for text in show.notices if "compiled or loaded" in text]


def test_a_clock_that_runs_before_the_sound_spoils_what_is_heard_when() -> None:
    show = Show(small(), driver="null", log=None)
    try:
        for second in range(20):
            show.follow_clock(120.0, 2.0 * second, float(second))
        assert not show._heard._offsets
    finally:
        show.close()
