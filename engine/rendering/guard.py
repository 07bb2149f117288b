"""What the renderer keeps of a node to notice when its output runs away, and to let it go and come back smoothly."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dsp.blocks import fade
from dsp.guard import Watched, mend, watched
from dsp.units import ms_to_frames
from engine.node import Port, Processor
from engine.spec import Block, StreamSpec

DECAY_MS = 1.0
"""Time constant in which the last good sample dies away."""

RISE_MS = 10.0
"""How long a lane takes to come back."""

MOST_LANES_TOLD = 8


class Guard:
    """The guard of one node. It stays with the node's sound over edits: a lane may be on its way back."""

    def __init__(self, inputs: Sequence[Port], outputs: Sequence[Port], spec: StreamSpec) -> None:
        # set once
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self._quantum_frames = spec.quantum_frames
        rise_frames = max(1, ms_to_frames(RISE_MS, spec.rate_hz))
        self._rise_frames = rise_frames
        self._rise = (0.5 - 0.5 * np.cos(np.pi * np.arange(rise_frames) / rise_frames)).astype(np.float32)
        self._decay = math.exp(-1e3 / (DECAY_MS * spec.rate_hz))
        # render thread only
        self._lanes = tuple(_Lanes(port.lanes, rise_frames) for port in self.outputs)
        self.mending = False
        """Whether outputs are to be tended to whatever they hold: a lane is on its way back."""
        self._entry = tuple(np.zeros((spec.quantum_frames, port.lanes), np.float32) for port in self.inputs)
        self._entered = 0
        self.entering = False
        """Whether the processor is to be fed by what `enter` returns."""

    def enter(self, ins: tuple[Block, ...]) -> tuple[Block, ...]:
        """Return `ins` fading in: a tail that begins with a click would be heard when its output is back."""
        for block, entry in zip(ins, self._entry, strict=True):
            np.copyto(entry, block)
            fade(entry, self._entered, self._rise_frames, False)
        self._entered += self._quantum_frames
        self.entering = self._entered < self._rise_frames
        return self._entry

    def watching(self, outs: tuple[Block, ...]) -> tuple[Watched, ...]:
        """Return what `dsp.guard.watch` takes for each of `outs`, which must outlive all calls."""
        return tuple(watched(block, lanes.last) for block, lanes in zip(outs, self._lanes, strict=True))

    def tend(self, processor: Processor, outs: tuple[Block, ...], error: Exception | None = None) -> str:
        """Mend `outs` and heal or reset the `processor`; return what is to be told of a fault, "" without one.

        All lanes are given up if `process` ended with an `error`. A processor that did not heal is reset.
        """
        if error is not None:
            for block in outs:
                block.fill(np.nan)
        busy = 0
        for block, lanes in zip(outs, self._lanes, strict=True):
            busy += mend(block, *lanes.state, self._rise, self._decay)
        self.mending = busy > 0
        if error is not None:
            return self._reset(processor, f"{type(error).__name__}: {error}")
        if not any(lanes.bad.any() for lanes in self._lanes):
            return ""
        told = "; ".join(
            f"{port.name} {_listed(lanes.bad)} ran away"
            for port, lanes in zip(self.outputs, self._lanes, strict=True)
            if lanes.bad.any()
        )
        if any(lanes.again.any() for lanes in self._lanes):
            return self._reset(processor, f"{told} again; reset")
        try:
            for i, lanes in enumerate(self._lanes):
                if lanes.bad.any():
                    processor.heal(i, lanes.bad)
        except Exception as worse:
            return self._reset(processor, f"{told}; heal: {type(worse).__name__}: {worse}")
        if type(processor).heal is Processor.heal:
            self.restart()
        return f"{told}; muted and healed"

    def restart(self) -> None:
        """Have every lane come back from silence, over what it put out last: the processor was reset."""
        for lanes in self._lanes:
            lanes.rest[:] = lanes.last
            lanes.risen.fill(0)
        self.mending = True
        self._entered = 0
        self.entering = True

    def _reset(self, processor: Processor, told: str) -> str:
        self.restart()
        try:
            processor.reset()
        except Exception as worse:
            return f"{told}; reset: {type(worse).__name__}: {worse}"
        return told


class _Lanes:
    """The lanes of one output, see `dsp.guard.mend`."""

    def __init__(self, count: int, rise_frames: int) -> None:
        self.last = np.zeros(count, np.float32)
        self.rest = np.zeros(count)
        self.risen = np.full(count, rise_frames, np.int64)
        self.bad = np.zeros(count, np.bool_)
        self.again = np.zeros(count, np.bool_)
        worst = np.zeros(count, np.int32)
        self.state = (self.last, self.rest, self.risen, self.bad, self.again, worst)


def _listed(bad: NDArray[np.bool_]) -> str:
    places = np.flatnonzero(bad)
    if len(places) == len(bad):
        return "(all lanes)"
    shown = ", ".join(map(str, places[:MOST_LANES_TOLD]))
    return f"lane{'s' if len(places) > 1 else ''} {shown}" + (", …" if len(places) > MOST_LANES_TOLD else "")
