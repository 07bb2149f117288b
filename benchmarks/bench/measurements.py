"""The measurements of `roomtone bench`, in their order."""

from typing import Any

from rich.text import Text

from benchmarks.bench import (
    allocated,
    capacity,
    latency,
    memory,
    nodes,
    offline,
    overhead,
    starts,
    text,
    timing,
)
from benchmarks.bench.report import Measurement
from benchmarks.bench.settings import Settings

BREAKDOWN_SHARE = 0.2
"""How much of a row's sound is enough for means."""


def measurements(settings: Settings) -> tuple[Measurement, ...]:
    """Return those that are asked for."""
    rate_hz, quanta = settings.rate_hz, tuple(sorted(set(settings.quanta_frames)))
    sound_s = settings.seconds * len(settings.loads)
    every = (
        Measurement(
            "quanta",
            0.5 * sound_s,
            lambda bench, advance: timing.measure(bench.stages, settings.seconds, advance),
            text.quanta,
            needs_stages=True,
        ),
        Measurement(
            "nodes",
            0.5 * BREAKDOWN_SHARE * sound_s,
            lambda bench, advance: nodes.measure(bench.stages, BREAKDOWN_SHARE * settings.seconds, advance),
            text.nodes,
            needs_stages=True,
        ),
        Measurement(
            "capacity",
            20.0 * len(quanta),
            lambda _, advance: capacity.measure(quanta, rate_hz, advance),
            text.capacity,
        ),
        Measurement(
            "latency", 1.0, lambda _, advance: latency.measure(quanta, rate_hz, advance), text.latency
        ),
        Measurement(
            "overhead",
            0.5 * len(quanta),
            lambda _, advance: overhead.measure(quanta, rate_hz, advance),
            text.overhead,
        ),
        Measurement("offline", 5.0, lambda _, advance: offline.measure(rate_hz, advance), text.offline),
        Measurement("allocations", 3.0, lambda _, advance: allocated.measure(advance), text.allocations),
        Measurement(
            "starts",
            35.0 if settings.cold else 6.0,
            lambda _, advance: starts.measure(rate_hz, advance, cold=settings.cold),
            text.starts,
        ),
        Measurement("memory", 6.0, lambda _, advance: memory.measure(rate_hz, advance), text.memory),
    )
    return tuple(m for m in every if m.key in settings.parts) + beside(settings)


def beside(settings: Settings) -> tuple[Measurement, ...]:
    """Return the measurements beside the parts: those that take something more than this program and its time."""
    found = []
    if settings.live:
        from benchmarks.bench import live

        seconds = 60.0 * settings.minutes + live.ROUND_TRIP_S
        found.append(
            Measurement(
                "live",
                seconds,
                lambda _, advance: live.measure(settings.device, advance, minutes=settings.minutes),
                _lines,
            )
        )
    if settings.contend is not None:
        from benchmarks.bench import contend

        threads, callback = settings.contend, settings.callback
        found.append(
            Measurement(
                "contend",
                60.0 * settings.minutes * (2.0 if callback else 1.0),
                lambda _, advance: contend.measure(
                    settings.device, threads, advance, callback=callback, minutes=settings.minutes
                ),
                _lines,
            )
        )
    if settings.peers:
        from benchmarks.bench import peers

        seconds = 20.0 * len(settings.quanta_frames)
        found.append(
            Measurement("peers", seconds, lambda _, advance: peers.measure(settings, advance), peers.text)
        )
    return tuple(found)


def _lines(part: Any) -> tuple[Text, ...]:
    return (Text("\n".join(part.lines())),)
