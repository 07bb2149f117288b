"""Does a tail that dies away get dearer? The time of each node at its beginning, and 60 s later, as it ends.

    python -m benchmarks.denormals
    python -m benchmarks.denormals --seconds 20 --json

Every node hears half a second of noise, then noise that dies away as a reverberation does, to -800 dBFS: float32 is
subnormal below -759. Both figures are medians over many quanta on this thread's own clock; the goal is a ratio of 1.5.
With --no-flush the thread leaves subnormals as they are: what the engine would be like if it did.
"""

import argparse
import json
import sys
import time
from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.node_cases import Case, Site, describe, is_subnormal
from benchmarks.node_subjects import SUBJECTS
from dsp.denormals import SUPPORTED, denormals_flushed
from engine.nodes import Fader
from engine.rendering import Graph

GOAL = 1.5
RATE_HZ, QUANTUM = 48_000, 128
NOISE_S = 0.5
END_DB = -800.0
TIMED = 400


def tail(name: str, seconds: float) -> dict[str, Any]:
    """Return what a quantum of a node costs at the beginning of its tail and at the end, in µs."""
    case = Case(name, max(SUBJECTS[name].tracks), False, RATE_HZ, QUANTUM, "noise")
    node, spec = describe(case)
    if name == "fader":
        node = Fader()  # the one of the cases is down by then
    graph = Graph()
    graph.add("node", node)
    site = Site(graph, spec)
    processor = node.build(site.context)
    ins = tuple(np.zeros((QUANTUM, port.lanes), np.float32) for port in node.inputs)
    outs = tuple(np.zeros((QUANTUM, port.lanes), np.float32) for port in node.outputs)
    lanes = ins[0].shape[1]
    noise = 0.25 * np.random.default_rng(1).standard_normal((QUANTUM, lanes)).astype(np.float32)
    loud = round(NOISE_S * RATE_HZ / QUANTUM)
    quanta = round(seconds * RATE_HZ / QUANTUM)
    took: NDArray[np.int64] = np.zeros(quanta, np.int64)
    fall_db = END_DB / quanta
    subnormal = 0
    for quantum in range(-loud, quanta):
        level = 10.0 ** (fall_db * max(0, quantum) / 20.0)
        for block in ins:
            np.multiply(noise, level, out=block, casting="same_kind")
        begin = time.thread_time_ns()
        processor.process(ins, outs, (loud + quantum) * QUANTUM)
        took[max(0, quantum)] = time.thread_time_ns() - begin
        subnormal += any(is_subnormal(block).any() for block in outs)
    first, last = (float(np.median(part)) / 1e3 for part in (took[:TIMED], took[-TIMED:]))
    return {"first_us": first, "last_us": last, "ratio": last / first, "quanta_with_subnormals": subnormal}


def main() -> None:
    """Measure and print; the exit code is 1 if the goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="of each tail")
    parser.add_argument("--no-flush", action="store_true", help="leave subnormals as they are")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    names = [name for name, subject in SUBJECTS.items() if subject.blamed == ("source",)]
    rows = {}
    with nullcontext() if options.no_flush else denormals_flushed():
        for name in names:
            rows[name] = row = tail(name, options.seconds)
            if not options.json:
                print(
                    f"{name:12}{row['first_us']:9.2f} µs{row['last_us']:9.2f} µs   ratio {row['ratio']:5.2f}"
                    f"   {row['quanta_with_subnormals']} quanta with subnormals",
                    flush=True,
                )
    worst = max(row["ratio"] for row in rows.values())
    if options.json:
        print(
            json.dumps(
                {"flushed": SUPPORTED and not options.no_flush, "worst": worst, "nodes": rows}, indent=2
            )
        )
    else:
        print(f"worst ratio {worst:.2f}, goal {GOAL}")
    sys.exit(1 if worst > GOAL else 0)


if __name__ == "__main__":
    main()
