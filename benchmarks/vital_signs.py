"""A minute of play on whatever device there is, a JACK server, say: what the ring counted.

    python -m benchmarks.vital_signs
    python -m benchmarks.vital_signs --json

`roomtone bench` measures what needs no device: speed and starts among it.
"""

import argparse
import json
import subprocess
import sys
from typing import Any

from engine.host.child import python_environment

COMMAND = [sys.executable, "-P", "-c", "from engine.cli import main; main()"]
NAMES = ("driver", "device", "underruns", "late_quanta", "load_mean", "load_max", "ring_minimum_frames")


def minute_of_play() -> dict[str, Any]:
    """`roomtone play --duration 60`: what its report says of the engine's work, and the incidents."""
    done = subprocess.run(
        [*COMMAND, "play", "--duration", "60", "--json"],
        env=python_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads(done.stdout)
    return {**{name: report[name] for name in (*NAMES, "incidents")}, "goal": "0 under-runs"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    result = minute_of_play()
    print(json.dumps(result, indent=2) if options.json else "   ".join(f"{k} {v}" for k, v in result.items()))


if __name__ == "__main__":
    main()
