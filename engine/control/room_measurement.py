"""What a room node really does, measured on the impulse response it renders."""

import math
from dataclasses import dataclass

import numpy as np

from dsp.decay import Response, correlation, loudness_energy, octave_t30_s
from dsp.room_acoustics import RoomTarget
from engine.clips import ClipStore
from engine.events import EventQueue
from engine.inputs import InputRing
from engine.meters import MeterTable
from engine.node import BuildContext, Node
from engine.params import ParamTable
from engine.spec import StreamSpec

OCTAVES_HZ = (125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)
MID_OCTAVES = slice(2, 4)

LONGEST_S = 12.0
QUANTUM_FRAMES = 1024


@dataclass(frozen=True)
class RoomMeasurement:
    """`rt60_s` is T30 of each of `OCTAVES_HZ`; NaN where there is no decay, or no such octave at the rate."""

    rt60_s: tuple[float, ...]
    drr_db: float
    correlation: float

    @property
    def mid_rt60_s(self) -> float:
        """T_mid: the mean of the octaves of 500 Hz and 1 kHz."""
        return float(np.mean(self.rt60_s[MID_OCTAVES]))


def impulse_response(node: Node, rate_hz: int, duration_s: float) -> Response:
    """Return what `node` makes of an impulse of 1 in both its lanes: `[frames, 2]`."""
    spec = StreamSpec(rate_hz, QUANTUM_FRAMES)
    params, meters = ParamTable.of([("room", node.params)]), MeterTable.of([("room", node.meters)])
    processor = node.build(
        BuildContext(
            *("room", spec, ClipStore(), (EventQueue(),), InputRing()),
            *(params.slot_map, params.memory, meters.slot_map, meters.memory),
        )
    )
    send, heard = (np.zeros((QUANTUM_FRAMES, 2), np.float32) for _ in range(2))
    response = np.zeros((math.ceil(duration_s * rate_hz / QUANTUM_FRAMES), QUANTUM_FRAMES, 2))
    send[0] = 1.0
    for number, quantum in enumerate(response):
        processor.process((send,), (heard,), number * QUANTUM_FRAMES)
        quantum[:] = heard
        send[0] = 0.0
    return response.reshape(-1, 2)


def measure_room(node: Node, target: RoomTarget, rate_hz: int) -> RoomMeasurement:
    """Render the impulse response of `node` and measure it; `target` says how long that has to be.

    The direct sound is that of a mono object in the middle, which a mix passes at unity.
    """
    response = impulse_response(node, rate_hz, min(LONGEST_S, 1.2 * target.rt60_s + 0.2))
    power = loudness_energy(response, rate_hz)
    return RoomMeasurement(
        octave_t30_s(response, rate_hz, OCTAVES_HZ),
        -10.0 * math.log10(power) if power > 0.0 else math.inf,
        correlation(response),
    )
