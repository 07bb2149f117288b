"""What the engine process is for: a show whose control process is busy, beside a Python callback that lives in one.

    python -m benchmarks.bench.contend 2                 two busy Python threads in the control process
    python -m benchmarks.bench.contend 2 --callback      and the same graph in a Python callback of a process as busy

Both at CPython's own switch interval. What is compared is the sound the device got in time: what a device leaves out by
itself, because the machine is busy, counts against both.
"""

import argparse
from dataclasses import dataclass
from typing import Any

from benchmarks.bench import python_callback
from benchmarks.bench.command import add_options, run, setting_of
from benchmarks.bench.figures import Figure
from benchmarks.bench.live_setting import (
    DEFAULT_MINUTES,
    DEFAULT_TRACKS,
    MOST_THREADS,
    Advance,
    LiveSetting,
    part_of,
    require,
)
from benchmarks.bench.playing import BLOCKS, Played, play
from benchmarks.bench.python_callback import Part, PythonCallback


@dataclass(frozen=True, slots=True, eq=False)
class Contended:
    """A show with a busy control process, and perhaps a Python callback in a process as busy.

    Without the callback `refusal` says why.
    """

    played: Played
    callback: PythonCallback | None
    refusal: str

    @property
    def engine_late(self) -> tuple[float, ...]:
        """Blocks that the ring was short of, of `BLOCKS` that the device asked for, in each round of the show."""
        return tuple(
            _of(one.underrun_frames, one.heard_frames + one.underrun_frames) for one in self.played.rounds
        )

    @property
    def callback_late(self) -> tuple[float, ...]:
        """Blocks that were ready too late, of `BLOCKS` that the device asked for; nothing without a callback."""
        return tuple(_of(part.late, part.blocks) for part in self._parts)

    @property
    def engine_missing(self) -> tuple[float, ...]:
        """Blocks without sound in time, of the `BLOCKS` that real time is, in each round of the show."""
        rate_hz = self.played.setting.rate_hz
        return tuple(_missing(one.heard_frames / rate_hz, one.seconds) for one in self.played.rounds)

    @property
    def callback_missing(self) -> tuple[float, ...]:
        """The same of the Python callback."""
        quantum_s = self.played.setting.spec.quantum_s
        return tuple(_missing((part.blocks - part.late) * quantum_s, part.seconds) for part in self._parts)

    @property
    def _parts(self) -> tuple[Part, ...]:
        return self.callback.parts if self.callback is not None else ()

    def as_json(self) -> dict[str, Any]:
        """Return it as it is stored."""
        played, callback = self.played, self.callback
        engine: dict[str, Any] = {
            **played.as_json(),
            **_both(self.engine_late, self.engine_missing),
            "jitter": played.jitter.as_json() if played.jitter else None,
        }
        compared = callback and {**callback.as_json(), **_both(self.callback_late, self.callback_missing)}
        return {
            "setting": played.setting.as_json(),
            "engine": engine,
            "python_callback": compared,
            "python_callback_refused": self.refusal,
        }

    @property
    def figures(self) -> dict[str, Figure]:
        """Return the figures of the show alone: the callback is there to be seen, not to get better."""
        missing = Figure.of(self.engine_missing, "blocks")
        return {**self.played.figures, f"{self.played.title}: blocks without sound in {BLOCKS}": missing}

    def lines(self) -> list[str]:
        """Return it as text."""
        lines = self.played.lines()
        if self.callback is None:
            return (
                [*lines, f"Python callback           not measured: {self.refusal}"] if self.refusal else lines
            )
        us = self.callback.ready_us
        flagged = int(self.callback.total("flagged"))
        rows = (
            (f"late, of {BLOCKS} asked for", self.engine_late, self.callback_late),
            (f"without sound, of {BLOCKS} in time", self.engine_missing, self.callback_missing),
        )
        return [
            *lines,
            f"the same graph in a Python callback of a process with {self.played.threads} busy Python threads",
            f"  ready after, µs         50 % within {us[0]:.0f}, 99 % within {us[1]:.0f}, 99.9 % within {us[2]:.0f}, "
            f"longest {us[3]:.0f}",
            f"  under-runs              {flagged} that the device reports",
            f"{'blocks of ' + str(self.played.setting.quantum_frames) + ' frames':<34}"
            f"{'engine process':>18}{'Python callback':>18}",
            *(f"  {title:<32}{_range(ours):>18}{_range(theirs):>18}" for title, ours, theirs in rows),
        ]


def measure(
    setting: LiveSetting,
    threads: int,
    advance: Advance,
    *,
    callback: bool = False,
    minutes: float = DEFAULT_MINUTES,
    tracks: int = DEFAULT_TRACKS,
) -> Contended:
    """Play with `threads` busy Python threads in the control process, then with `callback` the comparison.

    Raises HostError, InputError.
    """
    require("contend", threads, (1, MOST_THREADS), "threads")
    played = play(setting, minutes, tracks, part_of(advance, 0.0, 0.5 if callback else 1.0), threads)
    compared, refusal = None, ""
    if callback and played.driver == "null":
        refusal = "the null clock has no callback"
    elif callback:
        advance("Python callback", 0.5)
        compared = python_callback.measure(setting, minutes, tracks, threads)
    return Contended(played, compared, refusal)


def _of(number: float, of: float) -> float:
    return BLOCKS * number / of if of else 0.0


def _missing(sound_s: float, seconds: float) -> float:
    return max(0.0, BLOCKS * (1.0 - sound_s / seconds))


def _both(late: tuple[float, ...], missing: tuple[float, ...]) -> dict[str, list[float]]:
    return {
        f"late_of_{BLOCKS}_asked_for": [round(n, 1) for n in late],
        f"without_sound_of_{BLOCKS}_in_time": [round(n, 1) for n in missing],
    }


def _range(numbers: tuple[float, ...]) -> str:
    """Return the least and the most of all rounds."""
    return f"{min(numbers):.0f} to {max(numbers):.0f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("threads", type=int, help="busy Python threads")
    parser.add_argument("--callback", action="store_true", help="compare with a Python callback")
    add_options(parser)
    options = parser.parse_args()
    run(
        lambda advance: measure(
            setting_of(options),
            options.threads,
            advance,
            callback=options.callback,
            minutes=options.minutes,
            tracks=options.tracks,
        ),
        options.json,
        lambda contended: contended.refusal,
    )


if __name__ == "__main__":
    main()
