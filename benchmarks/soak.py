"""Long trials of what must hold for hours. Each runs by itself; without a name all do, one after the other.

    python -m benchmarks.soak busy --minutes 10     play with a busy control process; compare the take with a render
    python -m benchmarks.soak kill --times 50       kill the engine again and again (--between SECONDS of play)
    python -m benchmarks.soak server --cycles 20    kill the audio server and start it again
    python -m benchmarks.soak edits --quanta 1000000     a show that is edited at random, sample by sample
    python -m benchmarks.soak --short               all of them, in about two minutes

The live ones start a JACK server of their own. --json prints JSON. The exit code is 1 if a goal was missed; --short
leaves out how many under-runs there were, which says more of a shared machine than of the program.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

NAMES = ("edits", "kill", "server", "busy")


def edits(quanta: int, seed: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Edit a show every 30 quanta or so at random."""
    from benchmarks.edited_show import ACTIONS, STEP_LIMIT, EditedShow

    show = EditedShow(seed)
    names = list(ACTIONS)
    begin_s = time.monotonic()
    memory: list[int] = []
    while show.quanta < quanta:
        show.do(names[int(show.rng.integers(len(names)))])
        show.render(int(show.rng.integers(1, 60)))
        if show.quanta > quanta * (1 + len(memory)) / 20:
            memory.append(_resident_kib())
            say(f"{show.quanta:8d} quanta, largest step {show.largest_step:.2e}, {memory[-1] >> 10} MiB")
    settled = memory[len(memory) // 4]
    return {
        "quanta": show.quanta,
        "seed": seed,
        "actions": show.counts,
        "refused": len(show.refusals),
        "non_finite": show.non_finite,
        "subnormal": show.subnormal,
        "largest_step": show.largest_step,
        "largest_step_limit": STEP_LIMIT,
        "largest_step_at": show.step_at,
        "node_faults": [str(f) for f in list(show.engine.faults)[:5]],
        "resident_mib_after_a_quarter": settled >> 10,
        "resident_mib_at_the_end": memory[-1] >> 10,
        "resident_drift": round(memory[-1] / settled - 1.0, 4),
        "times_real_time": round(show.quanta * 128 / 48_000 / (time.monotonic() - begin_s), 1),
    }


def _resident_kib() -> int:
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize() >> 10
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def goals(name: str, result: dict[str, Any], short: bool) -> dict[str, bool]:
    """Return what was to be shown by the trial `name`, and whether it was."""
    if name == "edits":
        return {
            "nothing not finite, nothing subnormal": result["non_finite"] == result["subnormal"] == 0,
            "no step above -60 dBFS": result["largest_step"] <= result["largest_step_limit"],
            "no node failed": not result["node_faults"],
            "memory within 1 %": short or abs(result["resident_drift"]) <= 0.01,
        }
    if name == "kill":
        return {
            "sound within 1 s": result["seconds_until_sound_max"] <= 1.0,
            "state kept every time": result["state_kept"] == result["kills"],
            "no process and no memory left": result["processes_left"] == 0 and not result["memory_left"],
        }
    if name == "server":
        return {
            "null clock within 0.25 s": result["seconds_until_null_clock_max"] <= 0.25,
            "sound within 2 s of the server's start": result["seconds_until_device_max"] <= 2.0,
            "no process and no memory left": result["processes_left"] == 0 and not result["memory_left"],
        }
    return {
        "the recording is the render": result["frames_that_differ"] == 0,
        "no under-run": short or result["underruns"] == 0,
    }


def main() -> None:
    """Run what is asked for and print what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trial", nargs="*", choices=[*NAMES, []], help="which to run")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--between", type=float, default=2.0)
    parser.add_argument("--cycles", type=int, default=20)
    parser.add_argument("--quanta", type=int, default=1_000_000)
    parser.add_argument("--tracks", type=int, default=32)
    parser.add_argument("--safety", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="all of them, much shorter")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if options.short:
        options.minutes, options.times, options.cycles, options.quanta = 0.5, 5, 2, 60_000
    from benchmarks import soak_live

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    trials: dict[str, Callable[[], dict[str, Any]]] = {
        "edits": lambda: edits(options.quanta, options.seed, say),
        "kill": lambda: soak_live.kills(options.times, options.tracks, say, options.between),
        "server": lambda: soak_live.servers(options.cycles, options.tracks, say),
        "busy": lambda: soak_live.busy(options.minutes, options.tracks, options.safety, say),
    }
    results = {}
    for name in options.trial or NAMES:
        result = trials[name]()
        reached = goals(name, result, options.short)
        results[name] = {**result, "goals": reached}
        if not options.json:
            told = {
                **result,
                **{f"goal: {goal}": "reached" if met else "MISSED" for goal, met in reached.items()},
            }
            print(name, *(f"  {key}: {value}" for key, value in told.items()), sep="\n", flush=True)
    if options.json:
        print(json.dumps(results, indent=2))
    sys.exit(0 if all(all(result["goals"].values()) for result in results.values()) else 1)


if __name__ == "__main__":
    main()
