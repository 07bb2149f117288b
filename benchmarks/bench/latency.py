"""Latency from a sound's start to the device, part by part: the plan as an impulse shows it, the ring, the device."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.bench.figures import Figure
from benchmarks.bench.load import Advance
from benchmarks.crowd import crowd
from benchmarks.workload import composition
from dsp.denormals import denormals_flushed
from engine.control.local_engine import LocalEngine
from engine.control.patch import default_graph
from engine.errors import HostError
from engine.events import Event
from engine.host.devices import DeviceInfo, list_devices
from engine.host.dsp_loop import ahead_frames
from engine.meters import MeterTable
from engine.params import ParamTable
from engine.rendering import Plan
from engine.spec import StreamSpec

SAFETY_QUANTA = 2
"""Of `roomtone play`, unless it is asked for more."""

CLIP_FRAMES, CLICK_AT = 4096, 500
START_FRAME = 1000
"""Within a quantum, wherever its borders are."""

AMPLITUDE = 0.5
HEARD_S = 0.5
NO_DEVICE = "no audio device"


@dataclass(frozen=True, slots=True)
class Latency:
    """At one quantum, in frames unless named otherwise.

    `taps` are the outputs of the plan, `"node.port"`, with the frame at which the impulse is at its largest there,
    counted from where it is in the sound; `heard_frames` is the same of what is rendered, `plan_frames` what the plan
    says.
    """

    quantum_frames: int
    rate_hz: int
    taps: dict[str, int]
    heard_frames: int
    plan_frames: int
    ring_frames: int
    device: str
    device_ms: float | None

    @property
    def plan_ms(self) -> float:
        """The algorithmic latency, as measured."""
        return 1e3 * self.heard_frames / self.rate_hz

    @property
    def ring_ms(self) -> float:
        """How far the engine is ahead of the device."""
        return 1e3 * self.ring_frames / self.rate_hz

    @property
    def sum_ms(self) -> float:
        """All there is, without the device where there is none."""
        return self.plan_ms + self.ring_ms + (self.device_ms or 0.0)

    @property
    def figures(self) -> dict[str, Figure]:
        """The parts that this program decides: they are counted, not timed."""
        return {
            f"latency of the plan, {self.quantum_frames} frames": Figure.of([self.plan_ms], "ms"),
            f"latency of the ring, {self.quantum_frames} frames": Figure.of([self.ring_ms], "ms"),
        }

    def as_json(self) -> dict[str, Any]:
        """Return every part."""
        return {
            "quantum_frames": self.quantum_frames,
            "plan": {
                "frames": self.heard_frames,
                "ms": self.plan_ms,
                "stated_frames": self.plan_frames,
                "taps": self.taps,
            },
            "ring": {"frames": self.ring_frames, "ms": self.ring_ms, "safety_quanta": SAFETY_QUANTA},
            "device": {"name": self.device, "ms": self.device_ms},
            "sum_ms": self.sum_ms,
        }


@dataclass(frozen=True, slots=True)
class Latencies:
    """That at every quantum asked for."""

    rows: tuple[Latency, ...]

    @property
    def figures(self) -> dict[str, Figure]:
        """Those of all quanta."""
        return {name: figure for row in self.rows for name, figure in row.figures.items()}

    def as_json(self) -> list[dict[str, Any]]:
        """Return the rows."""
        return [row.as_json() for row in self.rows]


def measure(quanta_frames: tuple[int, ...], rate_hz: int, advance: Advance) -> Latencies:
    """Send an impulse through the plan at every quantum, and ask for the default audio device."""
    advance("asking for the device", 0.0)
    device, device_ms = default_device()
    rows = []
    for number, quantum in enumerate(quanta_frames):
        advance(f"{quantum} frames", (number + 1) / (len(quanta_frames) + 1))
        taps, heard, plan = impulse(StreamSpec(rate_hz, quantum))
        ring = ahead_frames(quantum, quantum, SAFETY_QUANTA)
        rows.append(Latency(quantum, rate_hz, taps, heard, plan.latency_frames, ring, device, device_ms))
    return Latencies(tuple(rows))


def default_device() -> tuple[str, float | None]:
    """Return the name of the output that plays unasked and the latency it reports, in ms; why not, and None."""
    try:
        found: DeviceInfo | None = next(
            (d for d in list_devices() if d.is_default and d.output_channels), None
        )
    except HostError as problem:
        return f"{NO_DEVICE}: {problem}", None
    return (found.name, 1e3 * found.low_latency_s) if found else (NO_DEVICE, None)


def impulse(spec: StreamSpec) -> tuple[dict[str, int], int, Plan]:
    """Play a click on one of two tracks, outdoors and without unmasking; return where it is at each output.

    In frames from its place in the sound: by `"node.port"`, and in what is rendered; and the plan.
    """
    graph = default_graph(replace(composition(2, spec.rate_hz), scene=crowd(2, room=False)))
    engine = LocalEngine(spec)
    params = ParamTable.of(graph.params(), memory=engine.params)
    meters = MeterTable.of(graph.meters(), memory=engine.meters)
    params.set("unmask.amount", 0.0)
    click = np.zeros((CLIP_FRAMES, 2), np.float32)
    click[CLICK_AT] = AMPLITUDE
    engine.share_clips({0: click})
    engine.swap(graph, params.slot_map, meters.slot_map)
    engine.queues[0].push(Event(START_FRAME, 0, 0, 0, CLIP_FRAMES, 0, 0))
    plan = engine.renderer.newest_plan
    assert plan is not None
    watched = {str(pin): block for pin, block in plan.outputs.items()}
    largest = dict.fromkeys((*watched, ""), (0.0, -1))
    out = np.zeros((spec.quantum_frames, 2), np.float32)
    end = START_FRAME + CLICK_AT + round(HEARD_S * spec.rate_hz)
    with denormals_flushed():
        for frame in range(0, end, spec.quantum_frames):
            engine.render(out)
            for name, block in (*watched.items(), ("", out)):
                heights = np.abs(block).max(axis=1)
                at = int(np.argmax(heights))
                if heights[at] > largest[name][0]:
                    largest[name] = float(heights[at]), frame + at
    found = {name: at - START_FRAME - CLICK_AT for name, (height, at) in largest.items() if height > 0.0}
    return {name: at for name, at in found.items() if name}, found[""], plan
