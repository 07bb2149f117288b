"""The control side's handle on one engine process: its memory, its messages, its life and its end."""

import atexit
import contextlib
import queue
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.errors import HostError
from engine.events import EventQueue
from engine.host.callback import WRITTEN
from engine.host.child import python_command, python_environment
from engine.host.protocol import Decoder, DriverName, Open, decode, encode, write_all
from engine.host.ring import RingTap
from engine.host.session import EngineStatistics, Session
from engine.host.shm import Segment, aligned
from engine.messages import ClipRef, Failed, Load, Quit, Start, Stop, Swap, ToControl, ToEngine
from engine.slots import SlotMap, Slots
from engine.spec import StreamSpec

M = TypeVar("M")

QUIT_S = 3.0
TERMINATE_S = 1.0
KILL_S = 1.0
"""How long each way of ending an engine is given before the next, harder one."""

LAST_LINES = 3
"""Of what a dead engine wrote to stderr, for the message that tells of it."""


class EngineHandle:
    """An engine process, and the memory shared with it; a context manager that ends both.

    `device` is part of a device's name; `safety_quanta` how far the engine renders ahead. With `verbose` the
    engine's stderr (drivers' chatter included) goes to the terminal, else it is kept for `Failed`.

    Raises HostError where there is no room for the shared memory.
    """

    def __init__(
        self,
        spec: StreamSpec,
        *,
        device: str | None = None,
        driver: DriverName = "auto",
        safety_quanta: int = 2,
        blocksize_frames: int | None = None,
        first_frame: int = 0,
        verbose: bool = False,
    ) -> None:
        # set once
        self.spec = spec
        self._session = Session.create(first_frame)
        # the caller's thread only
        self._clips: list[Segment] = []
        self._loads: list[Load] = []
        self._swap: Swap | None = None
        self._wish = Open(
            memory=self._session.segment.name,
            spec=spec,
            driver=driver,
            device=device,
            blocksize_frames=blocksize_frames,
            safety_quanta=safety_quanta,
            first_frame=first_frame,
            verbose=verbose,
        )
        self._closed = False
        try:
            self._child = _Child(self._wish)
        except BaseException as error:
            self._session.close()
            if isinstance(error, OSError):
                raise HostError(f"the engine process cannot be started: {error}") from error
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
    def events(self) -> EventQueue:
        """The queue of sound events; this side pushes."""
        return self._session.events

    @property
    def pid(self) -> int:
        """The process number of the engine."""
        return self._child.process.pid

    def tap(self, frame: int | None = None) -> RingTap:
        """Return a reader of every frame rendered from `frame` on (default: from the beginning)."""
        return RingTap(self._session, self._wish.first_frame if frame is None else frame)

    def share_clips(self, clips: Mapping[int, NDArray[np.float32]]) -> None:
        """Copy `clips` (number -> float32 `[frames, 2]`) to shared memory and have the engine hold them.

        Raises HostError where there is no room, ValueError for an array of another shape.
        """
        for number, samples in clips.items():
            if samples.dtype != np.float32 or samples.ndim != 2 or samples.shape[1] != 2:
                raise ValueError(f"clip {number} is float32 [frames, 2], not {samples.dtype} {samples.shape}")
        segment = Segment.create(sum(aligned(samples.nbytes) for samples in clips.values()))
        self._clips.append(segment)
        refs = []
        offset = 0
        for number, samples in clips.items():
            segment.view(np.float32, samples.size, offset)[:] = samples.ravel()
            refs.append(ClipRef(number, segment.name, offset, len(samples)))
            offset = aligned(offset + samples.nbytes)
        self._loads.append(Load(tuple(refs)))
        self.send(self._loads[-1])

    def swap(self, graph: Any, param_map: SlotMap, meter_map: SlotMap) -> None:
        """Have the engine build `graph` (an `engine.rendering.Graph`) and play it; `Swapped` answers."""
        self._swap = Swap(graph, param_map, meter_map)
        self.send(self._swap)

    def start(self) -> None:
        """Open the device and play; `Started` answers. Swap first, so that there is something to play."""
        self.send(Start())

    def stop(self, fade_frames: int, at_frame: int | None = None) -> None:
        """Fade to silence, at once or from the absolute frame `at_frame` on; `Stopped` answers when it is heard."""
        self.send(Stop(fade_frames, at_frame))

    def send(self, message: ToEngine) -> None:
        """Send any message; never blocks. To an engine that has died it is lost, and `poll` tells of the death."""
        self._child.send(message)

    def poll(self) -> list[ToControl]:
        """Return what has come in since the last call, without waiting."""
        return self._child.take_all()

    def wait_for(self, kind: type[M], timeout_s: float) -> M:
        """Return the next message of `kind`, leaving all others to `poll`.

        Raises HostError if the engine fails, dies or does not answer in time.
        """
        return self._child.take(kind, timeout_s)

    def statistics(self) -> EngineStatistics:
        """Return how the engine is doing now."""
        return self._session.snapshot(self._child.process.poll() is None)

    def restart(
        self,
        *,
        driver: DriverName | None = None,
        device: str | None = None,
        first_frame: int | None = None,
        start: bool = True,
    ) -> None:
        """Put a new engine in the place of the present one, dead or alive, with the same memory, clips and graph.

        The transport goes on at `first_frame` (default: after what was rendered last); its sound fades in.
        """
        self._child.end(quit_s=0.0)
        frame = int(self._session.counters[WRITTEN]) if first_frame is None else first_frame
        self._session.begin(frame)
        self._wish = replace(
            self._wish,
            driver=self._wish.driver if driver is None else driver,
            device=self._wish.device if device is None else device,
            first_frame=frame,
        )
        self._child = _Child(self._wish)
        for message in (*self._loads, self._swap, Start() if start else None):
            if message is not None:
                self.send(message)

    def close(self) -> None:
        """End the engine, kindly if it lets us, and remove the shared memory. Arrays into it stay valid."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        try:
            self._child.end(QUIT_S)
        finally:
            for segment in self._clips:
                segment.close()
            self._session.close()

    def __enter__(self) -> "EngineHandle":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Child:
    """The process itself, with a thread for each direction of its pipes."""

    def __init__(self, wish: Open) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `end`
        self.process = subprocess.Popen(
            python_command("engine.host"),
            env=python_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if wish.verbose else self._log,
            bufsize=0,
        )
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._incoming: list[ToControl] = []
        self._arrived = threading.Condition()
        self._dead = False
        self._ending = False
        self._threads = [
            threading.Thread(target=target, name=f"engine {target.__name__.strip('_')}", daemon=True)
            for target in (self._write, self._read)
        ]
        for thread in self._threads:
            thread.start()
        self.send(wish)

    def send(self, message: Open | ToEngine) -> None:
        self._outgoing.put(encode(message))

    def take_all(self) -> list[ToControl]:
        with self._arrived:
            messages, self._incoming = self._incoming, []
        return messages

    def take(self, kind: type[M], timeout_s: float) -> M:
        until_s = time.monotonic() + timeout_s
        with self._arrived:
            while True:
                for message in self._incoming:
                    if isinstance(message, kind):
                        self._incoming.remove(message)
                        return message
                    if isinstance(message, Failed):
                        self._incoming.remove(message)
                        raise HostError(message.what)
                if self._dead:
                    raise HostError("the engine has ended")
                if (
                    not self._arrived.wait(max(0.0, until_s - time.monotonic()))
                    and time.monotonic() >= until_s
                ):
                    raise HostError(
                        f"the engine did not answer within {timeout_s:g} s ({kind.__name__}): the machine may be "
                        "too busy, or a driver hangs; restart the audio server"
                    )

    def end(self, quit_s: float) -> None:
        """End the process, each way harder than the one before."""
        self._ending = True
        if quit_s > 0.0:
            self.send(Quit())
        self._outgoing.put(None)
        if not self._ended_within(quit_s):
            self.process.terminate()
            if not self._ended_within(TERMINATE_S):
                self.process.kill()
                self._ended_within(KILL_S)
        for thread in self._threads:
            thread.join(KILL_S)
        self._log.close()

    def _ended_within(self, timeout_s: float) -> bool:
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _write(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError), self.process.stdin as pipe:
            while (data := self._outgoing.get()) is not None:
                write_all(pipe.fileno(), data)

    def _read(self) -> None:
        assert self.process.stdout is not None
        decoder = Decoder()
        failed = False
        with self.process.stdout as pipe:
            while data := pipe.read(1 << 16):
                for body in decoder.feed(data):
                    message = decode(body)
                    failed = failed or isinstance(message, Failed)
                    with self._arrived:
                        self._incoming.append(message)
                        self._arrived.notify_all()
        code = self.process.wait()
        with self._arrived:
            self._dead = True
            if not (self._ending or failed):
                self._incoming.append(Failed(f"the engine process ended {_how(code)}{self._last_lines()}"))
            self._arrived.notify_all()

    def _last_lines(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()[-LAST_LINES:]
        return f": {' / '.join(line.strip() for line in lines)}" if lines else ""


def _how(code: int) -> str:
    return f"by signal {-code}" if code < 0 else f"with exit code {code}"
