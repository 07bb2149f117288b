"""The control side's handle on one engine process: its memory, its messages, its life and its end."""

import atexit
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.errors import HostError
from engine.events import EventQueue
from engine.host.callback import MESSAGES, WRITTEN
from engine.host.child_process import ChildProcess
from engine.host.protocol import DriverName, Latency, Open
from engine.host.ring import RingTap
from engine.host.session import DeviceIntervals, EngineStatistics, Session, Underrun
from engine.host.shared_clips import SharedClips
from engine.host.shm import Segment
from engine.host.spare import SpareEngine
from engine.inputs import INPUT_CHANNELS, InputRing
from engine.messages import (
    Fault,
    Load,
    Notice,
    Preload,
    Refused,
    Start,
    Stop,
    Swap,
    ToControl,
    ToEngine,
    Unload,
)
from engine.moves import MoveLog
from engine.slots import SlotMap, Slots
from engine.spec import StreamSpec

M = TypeVar("M")

QUIT_S = 3.0
"""How long an engine may take to end by itself."""

ENTRY_FADE_MS = 5.0
TAKEOVER_FADE_MS = 50.0
"""How fast the sound comes in when it begins in its middle, and from an engine that takes over."""

SPARE_PAUSE_S = 0.1
"""How long after an engine has begun to play the next spare is started."""


class EngineHandle:
    """An engine process, and the memory shared with it; a context manager that ends both.

    `device` is part of a device's name, `latency` what it is asked for (seconds, or its own idea of `low` or `high`),
    `blocksize_frames` how much it shall take at once; `safety_quanta` how far the engine is ahead of it, with `adapt`
    more when it was late. `input_channels` of `input_device` (default: the same device) arrive in `inputs`; `modules`
    with kernels that a later graph may need are imported before it plays. With
    `spare` a second process waits to take over, from `ready_spare` on. With `verbose` the engine's stderr (drivers'
    chatter included) goes to the terminal, else it is kept for `died`.

    Not to be used from several threads at once. Raises HostError where there is no room for the shared memory, or for
    a process.
    """

    def __init__(
        self,
        spec: StreamSpec,
        *,
        device: str | None = None,
        driver: DriverName = "auto",
        safety_quanta: int = 2,
        adapt: bool = False,
        latency: Latency = "low",
        blocksize_frames: int | None = None,
        input_device: str | None = None,
        input_channels: int = 0,
        modules: tuple[str, ...] = (),
        first_frame: int = 0,
        spare: bool = True,
        verbose: bool = False,
    ) -> None:
        if not 0 <= input_channels <= INPUT_CHANNELS:
            raise ValueError(f"input_channels is 0 to {INPUT_CHANNELS}, not {input_channels}")
        # set once
        self.spec = spec
        self._session = Session.create(first_frame)
        self._verbose = verbose
        self._keeps_spare = spare
        # the caller's thread only
        self._clips = SharedClips()
        self._leaving: list[Segment] = []
        self._swaps: list[Swap] = []
        self._number = 0
        self._stop: Stop | None = None
        self._modules: tuple[str, ...] = ()
        self._wish = Open(
            memory=self._session.segment.name,
            spec=spec,
            driver=driver,
            device=device,
            latency=latency,
            blocksize_frames=blocksize_frames,
            input_device=input_device,
            input_channels=input_channels,
            modules=modules,
            safety_quanta=safety_quanta,
            adapt=adapt,
            first_frame=first_frame,
            fade_in_ms=ENTRY_FADE_MS if first_frame > 0 else 0.0,
        )
        self._spare = SpareEngine(verbose)
        self._crashed = False
        self._closed = False
        try:
            self._child = self._new_child()
            self._child.send(self._wish)
        except BaseException:
            self._session.close()
            raise
        atexit.register(self.close)

    @property
    def params(self) -> Slots:
        """The memory for a `ParamTable`; this side writes it."""
        return self._session.params

    @property
    def meters(self) -> Slots:
        """The memory for a `MeterTable`; the engine writes it."""
        return self._session.meters

    @property
    def queues(self) -> tuple[EventQueue, ...]:
        """The queues of sound events; this side pushes."""
        return self._session.queues

    @property
    def moves(self) -> MoveLog:
        """The log of parameters that changed; the engine writes it."""
        return self._session.moves

    @property
    def inputs(self) -> InputRing:
        """The device's live input; the engine writes it."""
        return self._session.inputs

    @property
    def frame(self) -> int:
        """The absolute frame that is rendered next."""
        return int(self._session.counters[WRITTEN])

    @property
    def pid(self) -> int:
        """The process number of the engine."""
        return self._child.process.pid

    @property
    def spare_pid(self) -> int | None:
        """The process number of the spare engine, ready or not; None if there is none."""
        return self._spare.pid

    @property
    def spare_ready(self) -> bool:
        """Whether a spare engine has imported everything and waits."""
        return self._spare.ready

    def tap(self, frame: int | None = None) -> RingTap:
        """Return a reader of every frame rendered from `frame` on (default: from where this engine began)."""
        return RingTap(self._session, self._wish.first_frame if frame is None else frame)

    def share_clips(self, clips: Mapping[int, NDArray[np.float32]]) -> None:
        """Copy `clips` (number -> float32 `[frames, 2]`) to shared memory and have the engine hold them.

        Raises HostError where there is no room, or after `close`; ValueError for an array of another shape or a number
        that is taken.
        """
        self._require_open()
        refs = self._clips.share(clips)
        if refs:
            self.send(Load(refs))

    def unload(self, numbers: Iterable[int]) -> None:
        """Have the engine let go of these clips, which no event may name or sound any more.

        Their memory is given back with the last clip of those that were shared at once.
        """
        numbers = tuple(numbers)
        segments = self._clips.forget(numbers)
        self.send(Unload(numbers, tuple(segment.name for segment in segments)))
        self._leaving += segments
        self._remove_left()

    def swap(self, graph: Any, param_map: SlotMap, meter_map: SlotMap) -> int:
        """Have the engine build `graph` (an `engine.rendering.Graph`) and play it; return the number of the swap.

        `Built` or `Refused`, then `Swapped`, answer with that number. Raises HostError after `close`.
        """
        self._require_open()
        self._number += 1
        swap = Swap(self._number, graph, param_map, meter_map)
        self.send(swap)
        self._swaps = [*self._standing_swaps(), swap]
        return self._number

    def start(self) -> None:
        """Open the device and play; `Started` answers. Swap first, so that there is something to play."""
        self.send(Start())

    def stop(self, fade_frames: int, at_frame: int | None = None) -> None:
        """Fade to silence, at once or from the absolute frame `at_frame` on; `Stopped` answers when it is heard."""
        self._stop = Stop(fade_frames, at_frame)
        self.send(self._stop)

    def send(self, message: ToEngine) -> None:
        """Send any message; never blocks. To an engine that has died it is lost, and `died` tells of the death."""
        self._child.send(message)

    def poll(self) -> list[ToControl]:
        """Return what has come in since the last call, without waiting; call it often, it looks after the spare."""
        self._look_after_spare()
        self._remove_left()
        return self._child.take_all()

    def wait_for(self, kind: type[M], timeout_s: float) -> M:
        """Return the next message of `kind`, leaving all others to `poll`.

        Raises HostError if the engine fails, dies or does not answer in time.
        """
        return self._child.take(kind, timeout_s)

    def statistics(self) -> EngineStatistics:
        """Return how the engine is doing now."""
        return self._session.snapshot(self._child.alive)

    def intervals(self) -> DeviceIntervals:
        """Return how evenly the device has asked for its buffers since the present engine began."""
        return self._session.intervals_so_far()

    def underruns_since(self, count: int) -> list[Underrun]:
        """Return the under-runs after the first `count`.

        Counted over all engines of the session, like `EngineStatistics.underruns`; the last 256 are remembered. One
        that is still under way is there with what it has missed so far.
        """
        return self._session.underruns_since(count)

    def died(self) -> str | None:
        """Return how the engine process ended ("by signal 9"), with its last line on stderr.

        None while it lives, or while `poll` still has a `Failed` to give, which says more.
        """
        return self._child.died()

    # another engine in the place of this one -------------------------------------------------------------------

    def ready_spare(self, modules: tuple[str, ...]) -> None:
        """Have a spare engine import `modules`, those of the nodes and their kernels, in the background, and wait.

        From then on `poll` keeps one ready: it replaces one that died, and one that took over. Without `spare`, the
        modules are only what a new engine imports first.
        """
        self._modules = modules
        if self._keeps_spare:
            self._spare.want(modules)

    def end_engine(self) -> None:
        """End the engine at once, dead, stopped or alive; the next one goes on at `frame`.

        Until `revive` nobody but this side reads or writes the shared memory.
        """
        self._crashed = not self._child.alive
        self._child.kill()
        # What this machine was found to need, its successor needs as well.
        quanta = max(self._wish.safety_quanta, self.statistics().safety_quanta)
        self._wish = replace(self._wish, safety_quanta=quanta)
        self._begin_at(self.frame)

    def revive(
        self,
        *,
        driver: DriverName | None = None,
        device: str | None = None,
        latency: Latency | None = None,
        blocksize_frames: int | None = None,
        safety_quanta: int | None = None,
        first_frame: int | None = None,
        start: bool = True,
    ) -> None:
        """Have the spare engine, or a new one, go on after `end_engine`, with the same memory, clips and graph.

        What is given replaces what the handle was made with, also for later revivals. The sound fades in over 50 ms.
        Graphs that an engine was building when it crashed are `Refused`, if another played. Raises HostError where
        no process can be started.
        """
        if first_frame is not None:
            self._begin_at(first_frame)
        changes = {
            "driver": driver,
            "device": device,
            "latency": latency,
            "blocksize_frames": blocksize_frames,
            "safety_quanta": safety_quanta,
        }
        given: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
        self._wish = replace(self._wish, fade_in_ms=TAKEOVER_FADE_MS, **given)
        old, swaps = self._child, self._standing_swaps()
        self._spare.held = True
        child = self._spare.take() or self._new_child(preload=True)
        self._child = child
        for message in old.take_all():
            if isinstance(message, Refused | Notice | Fault):
                child.deliver(message)
        if self._crashed and swaps and swaps[0].number == old.built:
            for swap in swaps[1:]:
                child.deliver(Refused(swap.number, "the engine crashed over it"))
            swaps = swaps[:1]
        self._swaps = swaps[-1:]
        child.send(self._wish)
        if self._clips.refs:
            child.send(Load(self._clips.refs))
        for order in (*self._swaps, Start() if start else None, self._stop):
            if order is not None:
                child.send(order)
        self._remove_left(at_once=True)

    def restart(self, *, first_frame: int | None = None, **wishes: Any) -> None:
        """`end_engine`, then `revive`."""
        self.end_engine()
        self.revive(first_frame=first_frame, **wishes)

    def close(self) -> None:
        """End the engine, kindly if it lets us, and remove the shared memory. Arrays into it stay valid."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        try:
            self._spare.close()
            self._child.end(QUIT_S)
        finally:
            self._clips.close()
            self._remove_left(at_once=True)
            self._session.close()

    def __enter__(self) -> "EngineHandle":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _require_open(self) -> None:
        if self._closed:
            raise HostError("the show is closed")

    def _new_child(self, preload: bool = False) -> ChildProcess:
        try:
            child = ChildProcess(verbose=self._verbose)
        except OSError as error:
            raise HostError(f"the engine process cannot be started: {error}") from error
        if preload:
            child.send(Preload(self._modules))
        return child

    def _begin_at(self, frame: int) -> None:
        self._session.begin(frame)
        self._wish = replace(self._wish, first_frame=frame)

    def _standing_swaps(self) -> list[Swap]:
        """Return the swap that plays and those that may follow, in order: none that was refused or is overtaken."""
        child = self._child
        return [s for s in self._swaps if s.number >= child.built and s.number not in child.refused]

    def _remove_left(self, at_once: bool = False) -> None:
        """Remove the segments of unloaded clips, once no `Load` that names them is still on its way."""
        if self._leaving and (at_once or int(self._session.counters[MESSAGES]) >= self._child.sent):
            for segment in self._leaving:
                segment.close()
            self._leaving.clear()

    def _look_after_spare(self) -> None:
        started_s = self._child.started_s
        if started_s is not None and time.monotonic() >= started_s + SPARE_PAUSE_S:
            self._spare.held = False
        self._spare.look_after()
