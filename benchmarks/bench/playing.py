"""A scene played live for a while: under-runs, load, and how evenly the device asked."""

import contextlib
import statistics
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from benchmarks.bench.figures import Figure
from benchmarks.bench.jitter import Jitter, jitter
from benchmarks.bench.live_setting import MINUTES, TRACKS, Advance, LiveSetting, require
from benchmarks.crowd import crowd
from benchmarks.soak_live import spinning
from engine.control.show import Show
from engine.errors import HostError
from engine.host.session import EngineStatistics
from engine.scene.composition import Composition, compose

ROUNDS = 5
WARM_S = 1.0
"""How long the show plays before it is measured: the first quanta touch memory for the first time."""

ATTEMPTS = 3
LOST = ("device-lost", "driver-hung", "start-failed", "engine-failed", "engine-died", "engine-hung")
"""Incidents after which counters begin anew, so that what was measured is worth nothing: it is measured again."""

BLOCKS = 3000
"""What under-runs are told for: so many quanta, 8 s of 128 frames at 48 kHz."""


@dataclass(frozen=True, slots=True)
class Round:
    """One part of the run. The device was given `heard_frames` that had been rendered.

    `underruns` are those of the ring, `device_underflows` those that PortAudio reported.
    """

    seconds: float
    quanta: int
    callbacks: int
    heard_frames: int
    underruns: int
    underrun_frames: int
    device_underflows: int
    late_quanta: int
    load_mean: float


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """What happened while `tracks` tracks played, with `threads` busy Python threads in the control process.

    Loads are shares of a quantum; `load_max` is the largest since the engine began. `jitter` is None where there is no
    device. `notices` are the incidents of the show, but for under-runs.
    """

    setting: LiveSetting
    driver: str
    device: str
    tracks: int
    threads: int
    rounds: tuple[Round, ...]
    load_max: float
    ring_minimum_frames: int
    jitter: Jitter | None
    notices: tuple[str, ...]

    @property
    def title(self) -> str:
        """What its figures are called by."""
        busy = f", {self.threads} busy threads" if self.threads else ""
        return f"{self.tracks} tracks, {self.setting.quantum_frames} frames live{busy}"

    def total(self, name: str) -> float:
        """Return the sum of a field over all rounds."""
        return float(sum(getattr(one, name) for one in self.rounds))

    @property
    def underruns_per_blocks(self) -> float:
        """Under-runs of the ring in the time of `BLOCKS` quanta."""
        return per_blocks(self.total("underruns"), self.total("seconds"), self.setting.spec.quantum_s)

    def as_json(self) -> dict[str, Any]:
        """Return it as it is stored, the histogram apart."""
        return {
            "driver": self.driver,
            "device": self.device,
            "tracks": self.tracks,
            "threads": self.threads,
            "seconds": round(self.total("seconds"), 3),
            **{
                name: int(self.total(name))
                for name in (
                    *("quanta", "callbacks", "heard_frames", "underruns", "underrun_frames"),
                    *("device_underflows", "late_quanta"),
                )
            },
            "underruns_per_3000_blocks": round(self.underruns_per_blocks, 3),
            "load_mean": round(statistics.fmean(one.load_mean for one in self.rounds), 4),
            "load_max": round(self.load_max, 4),
            "ring_minimum_frames": self.ring_minimum_frames,
            "notices": list(self.notices),
        }

    @property
    def figures(self) -> dict[str, Figure]:
        """Return under-runs, load and the callback's period, one sample a round."""
        quantum_s = self.setting.spec.quantum_s
        underruns = tuple(per_blocks(one.underruns, one.seconds, quantum_s) for one in self.rounds)
        figures = {
            f"under-runs per {BLOCKS} quanta": Figure(
                self.underruns_per_blocks, "under-runs", "lower", underruns
            ),
            "load": Figure.of([one.load_mean for one in self.rounds], "quantum"),
        }
        if self.jitter is not None:
            figures |= self.jitter.figures
        return {f"{self.title}: {name}": figure for name, figure in figures.items()}

    def lines(self) -> list[str]:
        """Return it as text."""
        spec = self.setting.spec
        missing_ms = 1e3 * self.total("underrun_frames") / spec.rate_hz
        own = int(self.total("device_underflows"))
        busy = f", {self.threads} busy Python threads in the control process" if self.threads else ""
        loads = statistics.fmean(one.load_mean for one in self.rounds)
        lines = [
            f"{self.tracks} tracks for {self.total('seconds'):.0f} s on {self.device}, {spec.quantum_frames} frames "
            f"at {spec.rate_hz} Hz, {self.setting.safety_quanta} quanta ahead{busy}",
            f"  under-runs              {int(self.total('underruns'))}, {missing_ms:.1f} ms in all"
            + (f"; the device reports {own} of its own" if own else ""),
            f"  late quanta             {int(self.total('late_quanta'))} of {int(self.total('quanta'))}",
            f"  load                    {100 * loads:.1f} % of the quantum, {100 * self.load_max:.0f} % at most",
        ]
        if self.jitter is None:
            null = self.driver == "null"
            why = "the null clock has no callback" if null else "there is no clock that a callback can read"
            lines.append(f"  callback period         not measured: {why}")
        else:
            lines += self.jitter.lines()
        return [*lines, *(f"  {notice}" for notice in self.notices)]


def require_load(minutes: float, tracks: int) -> None:
    """Raise InputError for a load that `play` does not take."""
    require("minutes", minutes, MINUTES, "minutes")
    require("tracks", tracks, TRACKS, "tracks")


def per_blocks(number: float, seconds: float, quantum_s: float) -> float:
    """Return how many of what happened `number` times in `seconds` there are in the time of `BLOCKS` quanta."""
    return BLOCKS * number * quantum_s / seconds


def play(setting: LiveSetting, minutes: float, tracks: int, advance: Advance, threads: int = 0) -> Played:
    """Play a crowd of `tracks` for `minutes`, without a spare engine; raises HostError, InputError.

    `threads` busy Python threads in this process, the control process of the show, begin when it plays. A machine so
    busy that the device or the engine is lost on the way is given two more chances.
    """
    require_load(minutes, tracks)
    composition = compose(crowd(tracks), rate_hz=setting.rate_hz)
    lost = ""
    for _ in range(ATTEMPTS):
        found = _play(composition, setting, minutes, tracks, threads, advance)
        if isinstance(found, Played):
            return found
        lost = found
    raise HostError(f"{lost}: the machine is too busy to be measured on, {ATTEMPTS} times in a row")


def _play(
    composition: Composition,
    setting: LiveSetting,
    minutes: float,
    tracks: int,
    threads: int,
    advance: Advance,
) -> Played | str:
    """Return what happened, or what was lost."""
    with Show(
        composition,
        quantum_frames=setting.quantum_frames,
        device=setting.device,
        driver=setting.driver,
        safety_quanta=setting.safety_quanta,
        buffer_frames=setting.buffer_frames,
        latency=setting.latency,
        input_device=setting.input_device,
        log=None,
        spare=False,
    ) as show:
        show.wait(WARM_S)
        driver, device = show.driver, show.device
        with spinning(threads) if threads else contextlib.nullcontext():
            moments = [(time.monotonic(), show.statistics())]
            intervals = [show.intervals()]
            for number in range(ROUNDS):
                advance("playing", number / ROUNDS)
                show.wait(60.0 * minutes / ROUNDS)
                moments.append((time.monotonic(), show.statistics()))
                intervals.append(show.intervals())
            advance("playing", 1.0)
    incidents = show.incidents.all
    if lost := next((incident.text for incident in incidents if incident.kind in LOST), None):
        return lost
    last = moments[-1][1]
    return Played(
        setting=setting,
        driver=driver,
        device=device,
        tracks=tracks,
        threads=threads,
        rounds=tuple(
            _round(after_s - before_s, before, after)
            for (before_s, before), (after_s, after) in pairwise(moments)
        ),
        load_max=last.load_max,
        ring_minimum_frames=last.ring_minimum_frames,
        jitter=jitter(intervals, setting.rate_hz),
        notices=tuple(incident.text for incident in incidents if incident.kind != "underrun"),
    )


def _round(seconds: float, before: EngineStatistics, after: EngineStatistics) -> Round:
    return Round(
        seconds=seconds,
        quanta=after.quanta - before.quanta,
        callbacks=after.callbacks - before.callbacks,
        heard_frames=after.frame_heard - before.frame_heard,
        underruns=after.underruns - before.underruns,
        underrun_frames=after.underrun_frames - before.underrun_frames,
        device_underflows=after.device_underflows - before.device_underflows,
        late_quanta=after.late_quanta - before.late_quanta,
        load_mean=after.load_mean,
    )
