"""Nodes for the tests of the engine process, which imports them by this module's name."""

import math
import os
import signal
import time
from dataclasses import dataclass

import numba
import numpy as np

from dsp.jit import kernel
from engine.meters import Meter
from engine.node import BuildContext, Port, Processor
from engine.params import Param
from engine.spec import Block


@dataclass(frozen=True)
class Sine:
    """A stereo sine with a `gain` parameter and a `level` meter; silent before frame 0."""

    frequency_hz: float = 440.0
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = (Port("out", 2),)
    params: tuple[Param, ...] = (Param("gain", "", 0.0, 1.0, 0.5, "amplitude"),)
    meters: tuple[Meter, ...] = (Meter("level", "", "amplitude now"),)

    def build(self, ctx: BuildContext) -> Processor:
        return _SineProcessor(self.frequency_hz / ctx.spec.rate_hz, ctx)


class _SineProcessor(Processor):
    def __init__(self, cycles_per_frame: float, ctx: BuildContext) -> None:
        self._step = 2.0 * math.pi * cycles_per_frame
        self._gain = ctx.param("gain")
        self._level = ctx.meter("level")

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        wave = np.sin((frame + np.arange(len(outs[0]))) * self._step) * self._gain[0]
        outs[0][:] = wave[:, None].astype(np.float32)
        self._level[0] = self._gain[0]

    def reset(self) -> None:
        pass


@dataclass(frozen=True)
class Clip:
    """Plays clip 7 from frame 0 on."""

    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = (Port("out", 2),)
    params: tuple[Param, ...] = ()
    meters: tuple[Meter, ...] = ()

    def build(self, ctx: BuildContext) -> Processor:
        return _ClipProcessor(ctx.clips._arrays[7])


class _ClipProcessor(Processor):
    def __init__(self, samples: Block) -> None:
        self._samples = samples

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        outs[0].fill(0.0)
        if 0 <= frame < len(self._samples):
            piece = self._samples[frame : frame + len(outs[0])]
            outs[0][: len(piece)] = piece

    def reset(self) -> None:
        pass


@dataclass(frozen=True)
class Broken:
    """Raises in every quantum of the transport."""

    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = (Port("out", 2),)
    params: tuple[Param, ...] = ()
    meters: tuple[Meter, ...] = ()

    def build(self, ctx: BuildContext) -> Processor:
        return _BrokenProcessor()


class _BrokenProcessor(Processor):
    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        outs[0].fill(0.0)
        if frame >= 0:
            raise ValueError("out of order")

    def reset(self) -> None:
        pass


@dataclass(frozen=True)
class Stall:
    """Sleeps for 60 ms at one frame, much longer than the ring lasts."""

    at_frame: int
    inputs: tuple[Port, ...] = (Port("in", 2),)
    outputs: tuple[Port, ...] = (Port("out", 2),)
    params: tuple[Param, ...] = ()
    meters: tuple[Meter, ...] = ()

    def build(self, ctx: BuildContext) -> Processor:
        return _StallProcessor(self.at_frame)


class _StallProcessor(Processor):
    def __init__(self, at_frame: int) -> None:
        self._at_frame = at_frame

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        np.copyto(outs[0], ins[0])
        if frame == self._at_frame:
            time.sleep(0.06)

    def reset(self) -> None:
        pass


@dataclass(frozen=True)
class Hang(Sine):
    """A sine that never comes back from one frame."""

    at_frame: int = 12_800

    def build(self, ctx: BuildContext) -> Processor:
        return _HangProcessor(self.at_frame, self.frequency_hz / ctx.spec.rate_hz, ctx)


class _HangProcessor(_SineProcessor):
    def __init__(self, at_frame: int, cycles_per_frame: float, ctx: BuildContext) -> None:
        super().__init__(cycles_per_frame, ctx)
        self._at_frame = at_frame

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        while frame == self._at_frame:
            time.sleep(1.0)
        super().process(ins, outs, frame)


@dataclass(frozen=True)
class LateCompiler(Sine):
    """A sine that needs a kernel nobody compiled before, made the project's way or by itself."""

    as_kernel: bool = False

    def build(self, ctx: BuildContext) -> Processor:
        if self.as_kernel:
            kernel("float64(float64)")(_double)
        else:
            numba.njit(_double)(1.0)
        return super().build(ctx)


def _double(value: float) -> float:
    return 2.0 * value


@dataclass(frozen=True)
class Deadly(Sine):
    """A sine whose construction kills the process."""

    def build(self, ctx: BuildContext) -> Processor:
        os.kill(os.getpid(), signal.SIGKILL)
        return super().build(ctx)


@dataclass(frozen=True)
class Talkative(Sine):
    """A sine whose construction prints, as libraries do."""

    def build(self, ctx: BuildContext) -> Processor:
        print("hello from a library", flush=True)
        os.write(1, b"and from C\n")
        return super().build(ctx)
