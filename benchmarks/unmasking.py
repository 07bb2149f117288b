"""How much better tracks are heard after unmasking, judged by an ear the unmasking does not know, and at what price.

    python -m benchmarks.unmasking                          all scenes, all comparators: a few minutes
    python -m benchmarks.unmasking --quick                  faders only: about half of that
    python -m benchmarks.unmasking --scenes market workshop --json
    python -m benchmarks.unmasking --pareto --plots plots   other settings: masking against loudness

Masking is objective masking: the threshold of a model of hearing (PEAQ, ITU-R BS.1387-1), not what people said.
Important are tracks of importance 0.6 and more. A masking ratio is masking after over before: below 1 is better.
Every comparator loses, track by track, as many LU as unmasking did; the fader on the others turns down all tracks
below 0.6 by the mean of what those lost. The comparators' filters have zero phase, so their SI-SDR flatters them.
"""

import argparse
import os
import sys
from pathlib import Path

from engine.cli.common import compiling
from engine.errors import RoomtoneError


def main() -> None:
    """Read the command line, measure, print; exit codes as those of `roomtone`."""
    options = read_options()
    try:
        # Imported late: it brings the kernels, which may have to be compiled first.
        with compiling():
            from benchmarks.report import measure
        measure(options)
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
        prog="python -m benchmarks.unmasking",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--scenes", nargs="+", metavar="NAME", help="only these scenes of the suite")
    parser.add_argument("--seconds", type=float, default=12.0, help="of each scene (default 12)")
    parser.add_argument("--quick", action="store_true", help="compare with faders only")
    parser.add_argument("--pareto", action="store_true", help="try other settings instead")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="with --pareto, also draw")
    parser.add_argument(
        "--library", type=Path, action="append", default=[], metavar="FOLDER", help="where the recordings lie"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
