"""Live soaks on a JACK server of their own: a busy control process, a killed engine, a killed audio server."""

import contextlib
import os
import signal
import statistics
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.crowd import crowd
from benchmarks.jack_server import JackServer
from engine.control.bounce import bounce
from engine.control.show import Show
from engine.scene.composition import compose

Say = Callable[[str], None]
RATE_HZ = 48_000
SHARED_MEMORY = Path("/dev/shm")


@contextlib.contextmanager
def jack() -> Iterator[JackServer]:
    """Have all engines of this process find a JACK server of our own at 48 kHz and 128 frames."""
    server = JackServer(RATE_HZ)
    os.environ.update(server.variables)
    try:
        reason = server.wait_until_ready()
        if reason:
            raise SystemExit(f"no JACK server: {reason}")
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def spinning(threads: int) -> Iterator[None]:
    """Keep this process busy with Python threads that do nothing but hold the interpreter."""
    leaving = threading.Event()

    def spin() -> None:
        count = 0
        while not leaving.is_set():
            count += 1

    workers = [threading.Thread(target=spin, daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        leaving.set()
        for worker in workers:
            worker.join()


def segments() -> set[str]:
    """Return the shared memory that this process has made and not removed."""
    return {p.name for p in SHARED_MEMORY.glob(f"roomtone-{os.getpid()}-*")}


def children() -> list[int]:
    """Return the processes, zombies included, that this one has started and not yet buried, but for Python's own."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rsplit(")", 1)[1].split()
            ours = b"resource_tracker" not in (path.parent / "cmdline").read_bytes()
            if int(fields[1]) == os.getpid() and ours:
                found.append(int(path.parent.name))
    return found


def float_wav(path: Path) -> np.ndarray:
    """Return the samples of a 32-bit float stereo WAV of any length, float32 `[frames, 2]`, without reading it."""
    with path.open("rb") as file:
        file.seek(12)
        while True:
            name, size = struct.unpack("<4sI", file.read(8))
            if name == b"data":
                return np.memmap(path, np.float32, "r", file.tell(), (size // 8, 2))
            file.seek(size + size % 2, 1)


def stolen_s() -> float:
    """Return for how long the host has kept this machine's cores to itself since it was started, in core seconds."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
        return int(fields[8]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError):
        return 0.0


def busy(minutes: float, tracks: int, safety: int, say: Say) -> dict[str, Any]:
    """Play `minutes` with two spinning Python threads in the control process; compare the recording with a render."""
    composition = compose(crowd(tracks), rate_hz=RATE_HZ)
    with jack(), tempfile.TemporaryDirectory() as folder:
        take = Path(folder) / "take.wav"
        end_frame = round(minutes * 60 * RATE_HZ)
        with Show(composition, driver="portaudio", safety_quanta=safety, record=take, log=None) as show:
            show.stop(at_frame=end_frame)
            with spinning(2):
                while not show.stopped:
                    before_s = stolen_s()
                    show.wait(10.0)
                    taken_ms = 1e3 * (stolen_s() - before_s)
                    so_far = f"{show.frame / RATE_HZ:6.0f} s, under-runs {len(show.underruns)}"
                    say(f"{so_far}, kept by the host {taken_ms:.0f} ms")
            last = show.statistics()
            underruns, incidents = list(show.underruns), show.notices
        played = float_wav(take)
        say("rendering the same offline")
        rendered = bounce(composition, endless=True, duration_s=end_frame / RATE_HZ).samples
        assert rendered is not None
        assert len(played) >= end_frame
        differing = int(np.count_nonzero((played[:end_frame] != rendered).any(axis=1)))
    return {
        "minutes": minutes,
        "tracks": tracks,
        "safety_quanta": safety,
        "underruns": len(underruns),
        "underruns_in_detail": [u._asdict() for u in underruns],
        "device_underflows": last.device_underflows,
        "late_quanta": last.late_quanta,
        "load_mean": round(last.load_mean, 3),
        "load_max": round(last.load_max, 3),
        "ring_minimum_frames": last.ring_minimum_frames,
        "frames_compared": end_frame,
        "frames_that_differ": differing,
        "incidents": incidents,
    }


def _wait(what: Callable[[], bool], timeout_s: float, show: Show) -> float:
    """Return how long it took until `what` was so, at most `timeout_s`."""
    begin_s = time.monotonic()
    while not what() and time.monotonic() - begin_s < timeout_s:
        show.check()
        time.sleep(0.002)
    return time.monotonic() - begin_s


def kills(times: int, tracks: int, say: Say, between_s: float) -> dict[str, Any]:
    """Kill the engine `times` in a row: how long until the device gets new frames, and is it the same show?"""
    before, processes = segments(), set(children())
    gaps, kept = [], 0
    with jack(), Show(compose(crowd(tracks), rate_hz=RATE_HZ), driver="portaudio", log=None) as show:
        show.wait(1.0)
        for turn in range(times):
            value = round((turn % 10) / 10, 1)
            show.set("room.wet_level", value)
            show.wait(between_s)
            position, frame = show.position_s, show.frame
            pid = show._engine.pid
            os.kill(pid, signal.SIGKILL)
            gaps.append(
                _wait(
                    lambda frame=frame, pid=pid: (
                        show._engine.pid != pid  # type: ignore[misc]
                        and show.statistics().callbacks > 0
                        and show.statistics().frame_heard > frame
                    ),
                    10.0,
                    show,
                )
            )
            same_place = abs(show.position_s - position) < gaps[-1] + 0.5 and show.frame >= frame
            kept += show.get("room.wet_level") == value and same_place and show.driver == "portaudio"
            say(f"kill {turn + 1:3d}: sound after {gaps[-1]:.3f} s")
        peak = float(show.meters.read("meter", "peak").max())
    return {
        "kills": times,
        "seconds_until_sound_median": round(statistics.median(gaps), 3),
        "seconds_until_sound_max": round(max(gaps), 3),
        "state_kept": kept,
        "output_peak_afterwards": round(peak, 3),
        "processes_left": len(set(children()) - processes),
        "memory_left": sorted(segments() - before),
    }


def servers(cycles: int, tracks: int, say: Say, gone_s: float = 2.0) -> dict[str, Any]:
    """Kill the audio server and start it again, `cycles` times."""
    before, processes = segments(), set(children())
    to_null, back, stood = [], [], []
    with (
        jack() as server,
        Show(compose(crowd(tracks), rate_hz=RATE_HZ), driver="portaudio", log=None) as show,
    ):
        show.wait(1.0)
        for turn in range(cycles):
            heard = show.statistics().frame_heard
            begin_s = time.monotonic()
            server.kill()
            _wait(lambda: show.statistics().device_lost, 5.0, show)
            silent_at = show.statistics().frame_heard
            _wait(lambda at=silent_at: show.statistics().frame_heard > at, 5.0, show)  # type: ignore[misc]
            to_null.append(time.monotonic() - begin_s)
            time.sleep(gone_s)
            stood.append((show.statistics().frame_heard - heard) / RATE_HZ / gone_s)
            server.revive()
            back.append(
                _wait(
                    lambda: (
                        show.driver == "portaudio"
                        and not show.statistics().device_lost
                        and show.statistics().callbacks > 0
                    ),
                    15.0,
                    show,
                )
            )
            say(f"cycle {turn + 1:3d}: null clock after {to_null[-1]:.3f} s, device after {back[-1]:.3f} s")
            show.wait(1.0)
        incidents = show.notices[-3:]
    return {
        "cycles": cycles,
        "seconds_until_null_clock_max": round(max(to_null), 3),
        "seconds_until_device_median": round(statistics.median(back), 3),
        "seconds_until_device_max": round(max(back), 3),
        "pace_while_gone_min": round(min(stood), 3),
        "processes_left": len(set(children()) - processes),
        "memory_left": sorted(segments() - before),
        "last_incidents": incidents,
    }
