"""The figures a user feels: offline speed, warm start, first start, under-runs in a minute of play.

    python -m benchmarks.vital_signs            everything but the minute of play
    python -m benchmarks.vital_signs --live     that too, on whatever device there is (a JACK server, say)
    python -m benchmarks.vital_signs --json

Shared machines are noisy: speeds and warm starts are medians over runs, the first start and the minute of play single.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-c", "from engine.cli import main; main()"]
RUNS = 5


def roomtone(*arguments: str, folder: Path, cache: Path | None = None) -> tuple[float, str]:
    """Run the command in `folder`; return how long it took in seconds, and what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    if cache is not None:
        environment["XDG_CACHE_HOME"] = str(cache)
    begin_s = time.perf_counter()
    done = subprocess.run(
        [*COMMAND, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return time.perf_counter() - begin_s, done.stdout


def offline_speed() -> dict[str, Any]:
    """Render 60 s of the built-in scene on one core, warm: median times real time, by CPU and by the wall clock."""
    import presets
    from engine.control.bounce import bounce
    from engine.scene.composition import compose
    from engine.scene.load import load_scene

    scene = load_scene(presets.scene_path("rainy-street"))
    composition = compose(scene, rate_hz=48_000)
    bounce(composition, duration_s=5.0, keep_samples=False)
    wall, cpu = [], []
    for _ in range(RUNS):
        begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
        bounce(composition, duration_s=60.0, keep_samples=False)
        wall.append(60.0 / (time.perf_counter() - begin_s))
        cpu.append(60.0 / (time.process_time() - begin_cpu_s))
    return {
        "times_real_time": round(statistics.median(wall), 1),
        "times_real_time_cpu": round(statistics.median(cpu), 1),
        "goal": "at least 50",
    }


def warm_start(folder: Path) -> dict[str, Any]:
    """`roomtone render --duration 1` once everything is compiled: median seconds in all."""
    roomtone("render", "--duration", "1", "-o", "one.wav", folder=folder)
    runs = [roomtone("render", "--duration", "1", "-o", "one.wav", folder=folder)[0] for _ in range(RUNS)]
    return {"seconds": round(statistics.median(runs), 2), "slowest": round(max(runs), 2), "goal": "under 2.5"}


def first_start(folder: Path) -> dict[str, Any]:
    """The same with an empty cache, so that every kernel is compiled: seconds in all, once."""
    with tempfile.TemporaryDirectory() as cache:
        seconds, _ = roomtone("render", "--duration", "1", "-o", "one.wav", folder=folder, cache=Path(cache))
    return {"seconds": round(seconds, 1), "goal": "under 60"}


def minute_of_play(folder: Path) -> dict[str, Any]:
    """`roomtone play --duration 60`: what the ring counted."""
    _, printed = roomtone("play", "--duration", "60", "--json", folder=folder)
    report = json.loads(printed)
    names = "driver device underruns late_quanta load_mean load_max ring_minimum_frames incidents"
    return {**{name: report[name] for name in names.split()}, "goal": "0 under-runs"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--live", action="store_true", help="also play for a minute")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measures: dict[str, Callable[[], dict[str, Any]]] = {
            "first start": lambda: first_start(folder),
            "warm start": lambda: warm_start(folder),
            "offline speed": offline_speed,
        }
        if options.live:
            measures["minute of play"] = lambda: minute_of_play(folder)
        for title, measure in measures.items():
            results[title] = measure()
            if not options.json:
                print(title, *(f"{k} {v}" for k, v in results[title].items()), sep="   ", flush=True)
    if options.json:
        print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
