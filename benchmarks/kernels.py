"""What the unmasking stage costs: the whole, its parts, and beside a twin of its audio-rate kernels in C.

    python -m benchmarks.kernels
    python -m benchmarks.kernels --tracks 8 128 --seconds 2
    python -m benchmarks.kernels --no-twin --json

The worst case is broadband noise in every track, each of another importance, so that all bells work. Shared machines
are noisy: figures are medians, the twin is measured in turns with the kernels in one run, and beside the 99.9th
percentile of the wall clock stands that of the processor time, which leaves out what other programs took.
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.twin import NoTwinError, Twin
from dsp.bank import BarkBank
from dsp.bark import BANDS
from dsp.denormals import denormals_flushed
from dsp.dynamic_eq import DynamicEq
from dsp.memory import aligned
from dsp.unmask import Unmask

Samples = npt.NDArray[np.float32]

RATE_HZ = 48_000
LEVEL = 0.1
INPUTS = 8
"""Quanta of noise that go round and round."""
GROW_S = 0.5
"""Time for the bells to reach their depth."""
REST_S = 1.3
"""Time for the filters of ended tracks to fall asleep, and for the bells to be released."""
TURN = 4
"""Quanta per turn of kernel and twin."""
RESAMPLES = 2000
INTERVAL = (2.5, 97.5)

GOALS = {128: 10.0, 512: 35.0}
"""Tracks → largest share of the budget, in per cent, with all tracks at work."""
TWIN_GOAL = 1.3
PARTS = {
    "bank": ("_bank", "filter"),
    "smoothing": ("_bank", "smooth"),
    "masking": ("_masking", "process"),
    "steering": ("_eq", "plan"),
    "ramps": ("_eq", "begin"),
    "bells": ("_eq", "filter"),
}


def noise(tracks: int, frames: int) -> Samples:
    """Return float32[frames, 2 T] of white noise, a different one in each lane."""
    return LEVEL * np.random.default_rng(tracks).standard_normal((frames, 2 * tracks), dtype=np.float32)


def stage(tracks: int, sounding: int, quantum: int) -> tuple[Unmask, list[Samples]]:
    """Return a stage in which all tracks clashed and `sounding` of them still do, and its next inputs."""
    unmask = Unmask(tracks, RATE_HZ, quantum)
    unmask.importance[:] = np.random.default_rng(1).permutation(tracks) / max(1, tracks - 1)
    x, y = noise(tracks, INPUTS * quantum), np.zeros((quantum, 2 * tracks), np.float32)
    inputs = [x[start : start + quantum] for start in range(0, len(x), quantum)]
    play(unmask, inputs, y, GROW_S)
    if sounding < tracks:
        chosen = np.random.default_rng(2).permutation(tracks)[sounding:]
        x[:, chosen] = x[:, tracks + chosen] = 0.0
        play(unmask, inputs, y, REST_S)
    return unmask, inputs


def play(unmask: Unmask, inputs: Sequence[Samples], y: Samples, seconds: float) -> npt.NDArray[np.int64]:
    """Run the stage for so many seconds of sound; return what each quantum took, ns of (wall, processor)."""
    quanta = math.ceil(seconds * RATE_HZ / len(y))
    took = np.zeros((2, quanta), np.int64)
    for i in range(quanta):
        x = inputs[i % len(inputs)]
        begin_cpu, begin = time.thread_time_ns(), time.perf_counter_ns()
        unmask.process(x, y)
        took[0, i] = time.perf_counter_ns() - begin
        took[1, i] = time.thread_time_ns() - begin_cpu
    return took


def per_group(took: npt.NDArray[np.int64], group: int) -> npt.NDArray[np.float64]:
    """Return the mean µs per quantum over whole groups, so that every group holds the same share of steering."""
    whole = took[: len(took) // group * group]
    return np.asarray(whole.reshape(-1, group).mean(axis=1) / 1e3, dtype=np.float64)


def measure(tracks: int, sounding: int, quantum: int, seconds: float) -> dict[str, Any]:
    """Measure the whole stage, then its parts; times are µs per quantum."""
    unmask, inputs = stage(tracks, sounding, quantum)
    y = np.zeros_like(inputs[0])
    budget_us = 1e6 * quantum / RATE_HZ
    group = math.lcm(quantum, unmask.period_frames) // quantum
    took, took_cpu = play(unmask, inputs, y, seconds)
    median_us = float(np.median(per_group(took, group)))
    spent = dict.fromkeys(PARTS, 0)

    def timed(name: str, function: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: Any) -> None:
            begin = time.perf_counter_ns()
            function(*arguments)
            spent[name] += time.perf_counter_ns() - begin

        return call

    for name, (owner, method) in PARTS.items():
        part = getattr(unmask, owner)
        setattr(part, method, timed(name, getattr(part, method)))
    rows = []
    for _ in range(max(1, len(took) // 2 // group)):
        spent.update(dict.fromkeys(PARTS, 0))
        for i in range(group):
            unmask.process(inputs[i % len(inputs)], y)
        rows.append([ns / group / 1e3 for ns in spent.values()])
    return {
        "tracks": tracks,
        "sounding": sounding,
        "median_us": median_us,
        "p999_us": float(np.percentile(took, 99.9)) / 1e3,
        "p999_cpu_us": float(np.percentile(took_cpu, 99.9)) / 1e3,
        "budget_percent": 100.0 * median_us / budget_us,
        "ns_per_track_sample": 1e3 * median_us / (tracks * quantum),
        "awake": unmask._bank.awake,
        "parts_us": dict(zip(PARTS, np.median(rows, axis=0).tolist(), strict=True)),
    }


def compare(twin: Twin, tracks: int, quantum: int, seconds: float) -> dict[str, Any]:
    """Run the bank and the bells in turns with their twins on the same input; return times and ratios."""
    period = Unmask(tracks, RATE_HZ, quantum).period_frames
    bank, other_bank = (BarkBank(tracks, RATE_HZ, period) for _ in range(2))
    eq, other_eq = (DynamicEq(tracks, RATE_HZ, period) for _ in range(2))
    wanted = -6.0 * np.random.default_rng(3).random((tracks, BANDS), dtype=np.float32)
    for _ in range(50):
        for one in (eq, other_eq):
            one.steer(wanted, 6.0, 0.02, 0.2)
    c_bank, c_bells = twin.bank(other_bank), twin.bells(other_eq)
    x, y, other_y = (aligned((n * quantum, 2 * tracks)) for n in (INPUTS, 1, 1))
    x[:] = noise(tracks, INPUTS * quantum)
    inputs = [x[start : start + quantum] for start in range(0, len(x), quantum)]
    turns = max(10, math.ceil(seconds * RATE_HZ / quantum / TURN))
    took = np.zeros((2, 2, turns))
    apart = {"bank": 0.0, "bells": 0.0}
    for turn in range(-1, turns):
        if turn % 16 == 0:
            bank.smooth()
            other_bank.smooth()
        for side in (0, 1) if turn % 2 else (1, 0):
            spent = [0, 0]
            for i in range(TURN):
                q = inputs[(turn * TURN + i) % INPUTS]
                passed = i * quantum % max(1, period - quantum + 1)
                if side:
                    for_bank, for_bells = c_bank.arguments(q, passed), c_bells.arguments(q, other_y, passed)
                    begin = time.perf_counter_ns()
                    c_bank.run(for_bank)
                    middle = time.perf_counter_ns()
                    c_bells.run(for_bells)
                else:
                    begin = time.perf_counter_ns()
                    bank.filter(q, passed)
                    middle = time.perf_counter_ns()
                    eq.filter(q, y, passed)
                end = time.perf_counter_ns()
                spent[0] += middle - begin
                spent[1] += end - middle
            if turn >= 0:
                took[side, :, turn] = spent
        apart["bank"] = max(apart["bank"], strayed(bank._lanes, other_bank._lanes))
        apart["bells"] = max(apart["bells"], strayed(y, other_y))
    took /= 1e3 * TURN
    return {
        "tracks": tracks,
        "largest_difference": apart,
        "kernel_us": dict(zip(("bank", "bells"), np.median(took[0], axis=1).tolist(), strict=True)),
        "twin_us": dict(zip(("bank", "bells"), np.median(took[1], axis=1).tolist(), strict=True)),
        "bank": ratio(took[0, 0], took[1, 0]),
        "bells": ratio(took[0, 1], took[1, 1]),
        "both": ratio(took[0].sum(axis=0), took[1].sum(axis=0)),
    }


def strayed(a: Samples, b: Samples) -> float:
    """Return the largest difference as a share of the largest value; 0 if every bit is equal."""
    return float(np.max(np.abs(a - b)) / np.max(np.abs(a))) if a.tobytes() != b.tobytes() else 0.0


def ratio(kernel: npt.NDArray[np.float64], twin: npt.NDArray[np.float64]) -> dict[str, float]:
    """Return the ratio of medians with its 95 % bootstrap interval, turns drawn in pairs."""
    drawn = np.random.default_rng(0).integers(0, len(kernel), (RESAMPLES, len(kernel)))
    ratios = np.median(kernel[drawn], axis=1) / np.median(twin[drawn], axis=1)
    low, high = np.percentile(ratios, INTERVAL)
    return {"ratio": float(np.median(kernel) / np.median(twin)), "low": float(low), "high": float(high)}


def goals(stages: Sequence[dict[str, Any]], twins: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return every goal that was measured, and whether it is reached."""
    found = [
        {
            "goal": f"{row['tracks']} tracks at work in at most {GOALS[row['tracks']]:.0f} % of the budget",
            "measured": f"{row['budget_percent']:.1f} %",
            "reached": row["budget_percent"] <= GOALS[row["tracks"]],
        }
        for row in stages
        if row["sounding"] == row["tracks"] and row["tracks"] in GOALS
    ]
    return found + [
        {
            "goal": f"{row['tracks']} tracks: kernels take at most {TWIN_GOAL} times as long as the C twin",
            "measured": f"{row['both']['ratio']:.2f}",
            "reached": row["both"]["ratio"] <= TWIN_GOAL,
        }
        for row in twins
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n", 1)[0] if __doc__ else None,
        epilog="example: python -m benchmarks.kernels --tracks 8 128 --seconds 2",
    )
    parser.add_argument("--tracks", type=int, nargs="+", default=[8, 32, 128, 512], metavar="T")
    parser.add_argument("--quantum", type=int, default=128, metavar="FRAMES", help="at 48 kHz")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="of sound, per row")
    parser.add_argument("--no-twin", action="store_true", help="do not compare with C")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if min(*options.tracks, options.quantum) < 1 or not options.seconds > 0.0:
        parser.error("tracks, quantum and seconds must be above 0")

    def say(*parts: str) -> None:
        if not options.json:
            print(*parts, flush=True)

    with denormals_flushed():  # as the engine's render thread has it
        run(options, say)


def run(options: argparse.Namespace, say: Callable[..., None]) -> None:
    """Measure what was asked for, line by line."""
    quantum, stages, twins, built = options.quantum, [], [], "not asked for"
    say(f"unmasking, {quantum} frames at 48 kHz: budget {1e3 * quantum / RATE_HZ:.3f} ms; µs per quantum")
    say(
        "  tracks sound   median   p99.9   (cpu)  budget  ns/smp",
        "".join(f"{part:>11}" for part in PARTS),
    )
    for tracks in options.tracks:
        for sounding in sorted({tracks, max(1, tracks // 16), 0}, reverse=True):
            row = measure(tracks, sounding, quantum, options.seconds)
            stages.append(row)
            say(
                f"  {tracks:6}{sounding:6}{row['median_us']:9.1f}{row['p999_us']:8.1f}{row['p999_cpu_us']:8.1f}",
                f"{row['budget_percent']:5.1f} %{row['ns_per_track_sample']:8.2f}",
                "".join(f"{us:11.1f}" for us in row["parts_us"].values()),
            )
    if not options.no_twin:
        with tempfile.TemporaryDirectory() as folder:
            try:
                twin = Twin(Path(folder))
                built = twin.built_with
                say(f"C twin ({built}): time of the kernels over the twin's, [95 % interval]")
                for tracks in options.tracks:
                    row = compare(twin, tracks, quantum, options.seconds)
                    twins.append(row)
                    say(f"  {tracks:6} {described(row)}")
            except NoTwinError as problem:
                built = f"skipped: {problem}"
                say(f"C twin {built}")
    reached = goals(stages, twins)
    for goal in reached:
        say(f"  {'yes' if goal['reached'] else 'NO '}  {goal['goal']} ({goal['measured']})")
    if options.json:
        print(json.dumps({"stages": stages, "twin": built, "twins": twins, "goals": reached}, indent=2))


def described(row: dict[str, Any]) -> str:
    """Return one line about a comparison."""
    parts = [
        f"{part} {row[part]['ratio']:.2f} [{row[part]['low']:.2f}, {row[part]['high']:.2f}]"
        for part in ("bank", "bells", "both")
    ]
    worst = max(row["largest_difference"].values())
    agree = "every bit equal" if worst == 0.0 else f"outputs within {worst:.1e} of full scale"
    return "   ".join((*parts, agree))


if __name__ == "__main__":
    main()
