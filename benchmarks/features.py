"""What the features of 4 s of sound cost.

python -m benchmarks.features [--json]
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from benchmarks.peers.mixed_pairs import RATE_HZ, procedural
from engine.learn.bands import band_powers
from engine.learn.features import features, schema, schema_hash
from engine.learn.mel import timbre
from engine.learn.rhythm import rhythm

RUNS = 50
GOAL_MS = 15.0
SOUND_MS = 4000.0
IMPORT = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"


def measured_ms(call: Callable[[], object], runs: int = RUNS) -> dict[str, float]:
    """Return the median and the best of the times a call takes, and the median as a share of the 4 s."""
    call()
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        call()
        times.append(1000.0 * (time.perf_counter() - begin))
    median = float(np.median(times))
    return {"median": round(median, 3), "best": round(min(times), 3), "of_sound": round(median / SOUND_MS, 6)}


def start_up_s(statement: str) -> float:
    """Return how long a statement takes in a process of its own, the second time it runs there."""
    command = [sys.executable, "-c", IMPORT.format(statement)]
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return round(float(done.stdout), 4)


def main() -> None:
    """Print the figures; exit code 1 if 4 s of mono take longer than 15 ms."""
    parser = argparse.ArgumentParser(description="What the features of 4 s of sound cost.")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    given = parser.parse_args()
    mono = procedural(np.random.default_rng(1))
    stereo = np.ascontiguousarray(np.repeat(mono, 2, axis=1))
    found = {
        "features": len(schema()),
        "schema": schema_hash(),
        "ms": {
            "mono": measured_ms(lambda: features(mono, RATE_HZ)),
            "stereo": measured_ms(lambda: features(stereo, RATE_HZ)),
            "mono from 48 kHz": measured_ms(lambda: features(mono, 48_000.0)),
            "bands alone": measured_ms(lambda: band_powers(mono, RATE_HZ)),
            "timbre alone": measured_ms(lambda: timbre(mono[:, 0], RATE_HZ)),
            "rhythm, by librosa": measured_ms(lambda: rhythm(mono, RATE_HZ), 10),
        },
        "start_up_s": {
            "engine.learn.features": start_up_s("import engine.learn.features"),
            "librosa's onsets": start_up_s(
                "import librosa; librosa.onset.onset_strength; librosa.feature.tempo"
            ),
        },
        "goal_ms": GOAL_MS,
    }
    if given.json:
        print(json.dumps(found, indent=2))
    else:
        print(
            f"{found['features']} features, schema {schema_hash()[:16]}; goal {GOAL_MS:g} ms for 4 s of mono"
        )
        for name, figures in found["ms"].items():  # type: ignore[attr-defined]
            print(
                f"{name:22}{figures['median']:9.2f} ms, {100.0 * figures['of_sound']:.3f} % of the sound's length"
            )
        for name, seconds in found["start_up_s"].items():  # type: ignore[attr-defined]
            print(f"{name:22}{seconds:9.2f} s to load")
    sys.exit(0 if found["ms"]["mono"]["median"] <= GOAL_MS else 1)  # type: ignore[index]


if __name__ == "__main__":
    main()
