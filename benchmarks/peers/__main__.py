"""How long others take for the filters of the unmasking stage, as a multiple of our own time.

    python -m benchmarks.peers
    python -m benchmarks.peers --tracks 8 32 128 --json
    python -m benchmarks.peers --tracks 128 --seconds 8

Every track is noise; of each, the energy in 25 Bark bands (band-passes of fourth order) and four bells in series on
both channels are computed. Ratios of processor times, both sides taking turns in one run, are the median with a 95 %
interval; absolute times would be those of this machine. What is not installed is skipped, and why is said.
"""

import argparse
import json
import os
import sys

from engine.cli.common import compiling, progress
from engine.errors import InputError, Problem, RoomtoneError
from engine.spec import StreamSpec

MOST_TRACKS = 1024
SHORTEST_S, LONGEST_S = 0.1, 600.0


def main() -> None:
    """Read the command line, measure, print; exit codes as those of `roomtone`."""
    options = read_options()
    try:
        check(options)
        # Imported late: it brings the kernels, which may have to be compiled first.
        with compiling():
            from benchmarks.peers.comparison import measure
        with progress("peers") as advance:
            result = measure(options.tracks, options.quantum, options.rate, options.seconds, advance)
        print(json.dumps(result.as_json(), indent=2) if options.json else "\n".join(result.lines()))
    except RoomtoneError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def read_options() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--tracks", type=int, nargs="+", default=[8, 32, 128], metavar="T")
    parser.add_argument("--quantum", type=int, default=128, metavar="FRAMES", help="16 to 2048 (default 128)")
    parser.add_argument("--rate", type=int, default=48_000, metavar="HZ", help="(default 48000)")
    parser.add_argument(
        "--seconds", type=float, default=1.0, metavar="S", help="of sound at 128 tracks (default 1)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


def check(options: argparse.Namespace) -> None:
    """Raise InputError for what nobody can mean."""
    StreamSpec(options.rate, options.quantum)
    problems = [
        Problem(f"{count} tracks", f"1 to {MOST_TRACKS}", "--tracks")
        for count in options.tracks
        if not 1 <= count <= MOST_TRACKS
    ]
    if not SHORTEST_S <= options.seconds <= LONGEST_S:
        problems.append(Problem(f"{options.seconds:g} s", f"{SHORTEST_S:g} to {LONGEST_S:g}", "--seconds"))
    if problems:
        raise InputError(problems)


if __name__ == "__main__":
    main()
