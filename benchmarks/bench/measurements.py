"""The measurements of `roomtone bench`, in their order."""

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
    if settings.peers:
        from benchmarks.bench import peers

        seconds = 20.0 * len(settings.quanta_frames)
        found.append(
            Measurement("peers", seconds, lambda _, advance: peers.measure(settings, advance), peers.text)
        )
    return tuple(found)
