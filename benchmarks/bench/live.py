"""The engine on a real device: round trip, under-runs, load, and how evenly the callback is called.

    python -m benchmarks.bench.live                          the system's device, 12 s of 32 tracks
    python -m benchmarks.bench.live --minutes 10 --quantum 64 --device "USB Audio"
    python -m benchmarks.bench.live --loop cable             an output is connected to an input: 1 if nothing comes back
    python -m benchmarks.bench.live --loop off --driver null --json

`--loop auto` listens for what comes back over a cable; where nothing does, and the device is a JACK server, the
engine's own ports are connected. A sweep is played at -20 dBFS.
"""

import argparse
from dataclasses import dataclass
from typing import Any

from benchmarks.bench import round_trip
from benchmarks.bench.command import add_options, run, setting_of
from benchmarks.bench.figures import Figure
from benchmarks.bench.live_setting import DEFAULT_MINUTES, DEFAULT_TRACKS, Advance, LiveSetting, part_of
from benchmarks.bench.playing import Played, play, require_load
from benchmarks.bench.round_trip import Loop, NoRoundTrip
from benchmarks.bench.trip import RoundTrip

ROUND_TRIP_S = 10.0
"""About how long the sweeps take."""


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """What was measured on a device. Without a round trip `refusal` says why there is none."""

    setting: LiveSetting
    round_trip: RoundTrip | None
    refusal: str
    played: Played

    def as_json(self) -> dict[str, Any]:
        """Return it as it is stored."""
        jitter = self.played.jitter
        return {
            "setting": self.setting.as_json(),
            "round_trip": self.round_trip.as_json() if self.round_trip else None,
            "round_trip_refused": self.refusal,
            "play": self.played.as_json(),
            "jitter": jitter.as_json() if jitter else None,
        }

    @property
    def figures(self) -> dict[str, Figure]:
        """Return all figures, by readable names."""
        spec = self.setting
        title = f"{spec.quantum_frames} frames live, {spec.safety_quanta} quanta ahead"
        trip = self.round_trip.figures if self.round_trip else {}
        return {f"{title}: {name}": figure for name, figure in trip.items()} | self.played.figures

    def lines(self) -> list[str]:
        """Return it as text."""
        if self.round_trip:
            trip = self.round_trip.lines()
        else:
            trip = [f"  round trip              not measured: {self.refusal}"]
        return [*self.played.lines(), *trip]


def measure(
    setting: LiveSetting,
    advance: Advance,
    *,
    minutes: float = DEFAULT_MINUTES,
    tracks: int = DEFAULT_TRACKS,
    loop: Loop = "auto",
) -> Live:
    """Measure the round trip, then `minutes` of play under load; raises HostError, InputError."""
    require_load(minutes, tracks)
    trip, refusal = None, "not asked for"
    share = 0.0 if loop == "off" else ROUND_TRIP_S / (ROUND_TRIP_S + 60.0 * minutes)
    if loop != "off":
        try:
            trip, refusal = round_trip.measure(setting, loop, part_of(advance, 0.0, share)), ""
        except NoRoundTrip as reason:
            refusal = str(reason)
    return Live(setting, trip, refusal, play(setting, minutes, tracks, part_of(advance, share, 1.0)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument("--loop", choices=("auto", "cable", "jack", "off"), default="auto")
    options = parser.parse_args()

    def failure(live: Live) -> str:
        return live.refusal if options.loop in ("cable", "jack") else ""

    run(
        lambda advance: measure(
            setting_of(options), advance, minutes=options.minutes, tracks=options.tracks, loop=options.loop
        ),
        options.json,
        failure,
    )


if __name__ == "__main__":
    main()
