"""Every node at every rate and quantum, in every layout, fed with every kind of signal; then with any parameters.

    python -m benchmarks.matrix                 all of it, in a few minutes
    python -m benchmarks.matrix --sample        what the tests run
    python -m benchmarks.matrix --node unmask --json

Outputs must be finite, without subnormals, written to the last sample, and inputs and what lies around the blocks left
as they are; meters must be finite; and what a node puts out by mistake must be noticed, and blamed on that node.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from benchmarks.node_cases import QUANTA_FRAMES, SIGNALS, Alone, Case, run
from benchmarks.node_subjects import SUBJECTS
from dsp.denormals import denormals_flushed
from engine.params import Row
from engine.spec import RATES_HZ, StreamSpec

STREAMS = ((8000, 16), (48_000, 128), (192_000, 2048))
"""Where parameters are tried: rate and quantum."""

TRACKS = 3
SETS = 100
QUANTA_PER_SET = 5
NOISE_AMPLITUDE = 0.25


def every_case() -> Iterator[Case]:
    """Return the full product, in an order that never changes."""
    for name, subject in SUBJECTS.items():
        for rest in product(subject.tracks, (True, False), RATES_HZ, QUANTA_FRAMES, SIGNALS):
            yield Case(name, *rest)


def sample() -> Iterator[Case]:
    """Return every node in every layout at every rate and quantum once; the signals go round."""
    for name, subject in SUBJECTS.items():
        layouts = product(subject.tracks, (True, False))
        for v, (tracks, mono) in enumerate(layouts):
            for r, rate_hz in enumerate(RATES_HZ):
                for q, quantum in enumerate(QUANTA_FRAMES):
                    yield Case(name, tracks, mono, rate_hz, quantum, SIGNALS[(v + r + q) % len(SIGNALS)])


def corners(rows: list[Row]) -> Iterator[dict[str, float]]:
    """Return every combination of the ends of the parameters' ranges, alike for all tracks of a bank."""
    names = sorted({row.param.name for row in rows})
    for ends in product((False, True), repeat=len(names)):
        high = dict(zip(names, ends, strict=True))
        yield {row.name: row.param.hi if high[row.param.name] else row.param.lo for row in rows}


def random_sets(rows: list[Row], count: int, seed: int) -> Iterator[dict[str, float]]:
    """Return `count` settings with every value anywhere in its range, drawn anew for each track."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        at = {row.name: (row.param, float(rng.random())) for row in rows}
        yield {
            name: float(round(p.lo + x * (p.hi - p.lo)))
            if p.choices
            else min(p.hi, p.lo * (p.hi / p.lo) ** x if p.curve == "log" else p.lo + x * (p.hi - p.lo))
            for name, (p, x) in at.items()
        }


def turn(name: str, rate_hz: int, quantum: int, sets: int = SETS) -> tuple[int, list[str]]:
    """Turn all parameters of a node at once, from set to set; return how many sets there were, and what is wrong."""
    spec = StreamSpec(rate_hz, quantum)
    node = SUBJECTS[name].make(min(TRACKS, max(SUBJECTS[name].tracks)), False, spec)
    if not node.params:
        return 0, []
    alone = Alone(node, spec)
    table = alone.site.params
    rng = np.random.default_rng(quantum)
    lanes = node.inputs[0].lanes
    frame = done = 0
    with denormals_flushed():
        for values in (*corners(list(table)), *random_sets(list(table), sets, quantum)):
            for row, value in values.items():
                table.set(row, value)
            for _ in range(QUANTA_PER_SET):
                noise = rng.uniform(-NOISE_AMPLITUDE, NOISE_AMPLITUDE, (quantum, lanes)).astype(np.float32)
                if odd := alone.process(noise, frame):
                    return done, [f"{what}, with {values}" for what in odd]
                frame += quantum
            done += 1
    return done, []


def try_cases(cases: list[Case], quiet: bool) -> tuple[int, Counter[str]]:
    """Run `cases`; return how many failed, and how often what happened."""
    failed, found = 0, Counter[str]()
    told = time.monotonic()
    for i, case in enumerate(cases):
        odd = run(case)
        failed += bool(odd)
        for what in odd:
            found[f"{case.subject}, {case.signal}: {what.split(' at frame')[0]}"] += 1
        if not quiet and (odd or time.monotonic() - told > 5.0):
            told = time.monotonic()
            print(f"{i + 1:6d} of {len(cases)}  {case}  {odd[0] if odd else ''}", file=sys.stderr, flush=True)
    return failed, found


def main() -> None:
    """Run it and print what came of it; the exit code is 1 if anything is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--node", action="append", choices=list(SUBJECTS), help="only this one")
    parser.add_argument("--sample", action="store_true", help="only what the tests run")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    begin_s = time.monotonic()
    names = options.node or list(SUBJECTS)
    cases = [case for case in (sample() if options.sample else every_case()) if case.subject in names]
    failed, found = try_cases(cases, options.json)
    sets = 0
    for name, stream in product(names, STREAMS):
        done, odd = turn(name, *stream)
        sets += done
        found.update(f"{name}, turned: {what.split(' at frame')[0]}" for what in odd)
    result: dict[str, Any] = {
        "cases": len(cases),
        "failed": failed,
        "settings": sets,
        "found": dict(found),
        "seconds": round(time.monotonic() - begin_s, 1),
    }
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        print("\n".join(f"{key:9} {value}" for key, value in result.items()))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
