"""A process that loads a scene and renders until there is sound, as `roomtone play` does; tells when it got where.

    python -m benchmarks.bench.first_sound              the built-in scene
    python -m benchmarks.bench.first_sound --tracks 512

Times are those of `time.perf_counter`, which all processes share.
"""

import argparse
import json
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsp.ahead import Ahead

STATUS = Path("/proc/self/status")


class Kernels:
    """Counts kernels that are compiled or loaded, and the time that takes; has them compiled as the command does."""

    def __init__(self, ahead: "Ahead") -> None:
        self.count = 0
        self.seconds = 0.0
        self._since_s = 0.0
        self._ahead = ahead

    def listen(self, name: str, finished: bool) -> None:
        """Be told of one."""
        self._ahead.listen(name, finished)
        if finished:
            self.count += 1
            self.seconds += time.perf_counter() - self._since_s
        else:
            self._since_s = time.perf_counter()


def memory_mib() -> dict[str, float | None]:
    """Return this process's resident memory now and at its peak, in MiB; None where the system doesn't tell."""
    if STATUS.exists():
        # The peak of `getrusage` is that of the parent where it was larger.
        lines = dict(line.split(":", 1) for line in STATUS.read_text("utf-8").splitlines() if ":" in line)
        now, peak = (int(lines[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM"))
        return {"rss_mib": now, "peak_rss_mib": peak}
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return {"rss_mib": None, "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit}


def first_sound(tracks: int | None, rate_hz: int, quantum_frames: int) -> dict[str, Any]:
    """Do it; return the moments, the kernels and the memory."""
    at_s = {"interpreter": time.perf_counter()}
    from dsp import jit
    from dsp.ahead import Ahead

    with Ahead() as ahead:
        kernels = Kernels(ahead)
        jit.on_compile(kernels.listen)
        told = _sound(tracks, rate_hz, quantum_frames, at_s)
    return {
        "at_s": at_s,
        **told,
        "kernels": kernels.count,
        "kernels_s": kernels.seconds,
        **memory_mib(),
    }


def _sound(tracks: int | None, rate_hz: int, quantum_frames: int, at_s: dict[str, float]) -> dict[str, int]:
    import engine.cli.app  # what the command itself imports is part of its start
    import presets
    from benchmarks.crowd import crowd
    from engine.control.offline import OfflineEngine
    from engine.control.patch import default_graph
    from engine.scene.composition import compose
    from engine.scene.load import load_scene
    from engine.spec import StreamSpec

    at_s["imports"] = time.perf_counter()
    scene = (
        load_scene(presets.scene_path(engine.cli.common.DEFAULT_SCENE)) if tracks is None else crowd(tracks)
    )
    composition = compose(scene, rate_hz=rate_hz)
    at_s["scene"] = time.perf_counter()
    sounding = OfflineEngine(default_graph(composition), composition, StreamSpec(rate_hz, quantum_frames))
    at_s["graph"] = time.perf_counter()
    quanta = 0
    for block in sounding.play(composition, 60 * rate_hz, endless=True):
        quanta += 1
        if block.any():
            break
    else:
        raise RuntimeError("a minute of silence")
    at_s["sound"] = time.perf_counter()
    return {"tracks": len(composition.tracks), "silent_quanta": quanta - 1}


def main() -> None:
    """Do it and print JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tracks", type=int, help="of procedural sounds, instead of the built-in scene")
    parser.add_argument("--rate", type=int, default=48_000)
    parser.add_argument("--quantum", type=int, default=128)
    options = parser.parse_args()
    print(json.dumps(first_sound(options.tracks, options.rate, options.quantum)))


if __name__ == "__main__":
    main()
