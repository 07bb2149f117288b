"""What the live measurements share where they are commands of their own."""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any, Protocol

from benchmarks.bench.live_setting import DEFAULT_MINUTES, DEFAULT_TRACKS, Advance, LiveSetting
from engine.cli.common import interruptible, progress
from engine.errors import RoomtoneError

STEPS = 1000


class Result(Protocol):
    """What was measured."""

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        ...

    def lines(self) -> list[str]:
        """Return it for people."""
        ...


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `setting_of` reads, how long, how many tracks, and `--json`."""
    parser.add_argument("--device", metavar="NAME", help="part of a name from `roomtone devices`")
    parser.add_argument(
        "--input", metavar="NAME", help="where the sound comes back; left out, the same device"
    )
    parser.add_argument("--driver", choices=("auto", "portaudio", "null"), default="auto")
    parser.add_argument("--rate", type=int, default=48_000, metavar="HZ")
    parser.add_argument("--quantum", type=int, default=128, metavar="FRAMES")
    parser.add_argument("--safety", type=int, default=2, metavar="QUANTA")
    parser.add_argument("--minutes", type=float, default=DEFAULT_MINUTES, help="how long the load plays")
    parser.add_argument("--tracks", type=int, default=DEFAULT_TRACKS)
    parser.add_argument("--json", action="store_true", help="print JSON")


def setting_of(options: argparse.Namespace) -> LiveSetting:
    """Return the setting that was asked for; raises InputError."""
    return LiveSetting(
        device=options.device,
        input_device=options.input,
        driver=options.driver,
        rate_hz=options.rate,
        quantum_frames=options.quantum,
        safety_quanta=options.safety,
    )


def run(measure: Callable[[Advance], Result], as_json: bool, failure: Callable[[Any], str]) -> None:
    """Measure with progress on standard error, print, and exit with 1 where `failure` of the result says why.

    Errors end it as they end `roomtone`.
    """
    try:
        with interruptible(), progress("live") as advance:
            result = measure(lambda what, share: advance(what, round(STEPS * share), STEPS))
    except RoomtoneError as error:
        print(*(f"roomtone: {line}" for line in str(error).splitlines()), sep="\n", file=sys.stderr)
        sys.exit(error.exit_code)
    print(json.dumps(result.as_json(), indent=2) if as_json else "\n".join(result.lines()))
    if reason := failure(result):
        print(f"roomtone: {reason}", file=sys.stderr)
        sys.exit(1)
