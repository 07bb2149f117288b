"""The engine's correspondence, on a thread of its own: builds what comes in, sends what goes out."""

import threading
import time
import traceback
from collections import deque

import numpy as np

from engine.clips import ClipStore
from engine.errors import RoomtoneError
from engine.host.dsp_loop import DspLoop
from engine.host.protocol import Inbox, decode, encode, write_all
from engine.host.session import Session
from engine.host.shm import Segment
from engine.messages import Failed, Fault, Load, Notice, Quit, Start, Stop, Swap, Swapped, ToControl
from engine.node import BuildContext
from engine.rendering import Renderer, compile_plan
from engine.slots import SlotMap, Slots

POLL_S = 0.2
"""How often faults and retired plans are looked for. Rarely: when this thread is preempted while it holds the
interpreter, the DSP loop waits for it."""

FAULT_INTERVAL_S = 1.0
"""How often one node's faults are told: a broken node may fail in every quantum."""

CLOSING_FADE_MS = 50.0
"""How fast the sound ends when the control process quits or dies."""

TOUCH_BYTES = 4 << 20
"""Of a clip, between two chances for the DSP loop to run."""

_PAGE_FLOATS = 1024


class Messenger(threading.Thread):
    """Reads messages from `inbox` and writes to the file descriptor `target`, which nobody else touches.

    `begin` is set when playing may begin, or when it never will: then `quitting` is set too.
    """

    def __init__(
        self,
        inbox: Inbox,
        read_already: list[bytes],
        target: int,
        session: Session,
        renderer: Renderer,
        snapshot: Slots,
        loop: DspLoop,
    ) -> None:
        super().__init__(name="messenger", daemon=True)
        # set once
        self._inbox = inbox
        self._read_already = read_already
        self._target = target
        self._session = session
        self._renderer = renderer
        self._snapshot = snapshot
        self._loop = loop
        # messenger only
        self._clips = ClipStore()
        self._segments: dict[str, Segment] = {}
        self._fault_told_s: dict[str, float] = {}
        # shared
        self.begin = threading.Event()
        self.quitting = threading.Event()
        self._ending = threading.Event()
        self._outbox: deque[ToControl] = deque()

    def post(self, message: ToControl) -> None:
        """Have `message` sent, from any thread; not for use in the middle of playing."""
        self._outbox.append(message)
        self._inbox.wake()

    def finish(self, timeout_s: float) -> None:
        """Send what is still to be sent, and end."""
        self._ending.set()
        self._inbox.wake()
        self.join(timeout_s)

    def run(self) -> None:
        """Serve both directions until `finish`."""
        for body in self._read_already:
            self._take(body)
        while not self._ending.is_set():
            for body in self._inbox.wait(POLL_S):
                self._take(body)
            if self._inbox.closed and not self.quitting.is_set():  # the control process is gone
                self._quit()
            self._send()
        self._send()

    def _take(self, body: bytes) -> None:
        try:
            message = decode(body)
            match message:
                case Load(clips=clips):
                    for clip in clips:
                        self._hold(clip.number, clip.memory, clip.offset_bytes, clip.frames)
                case Swap(graph=graph, param_map=param_map, meter_map=meter_map):
                    self._swap(graph, param_map, meter_map)
                case Start():
                    self.begin.set()
                case Stop(fade_frames=fade_frames, at_frame=at_frame):
                    self._renderer.stop(fade_frames, at_frame)
                case Quit():
                    self._quit()
        except Exception as error:
            traceback.print_exc()
            self._refuse(
                str(error) if isinstance(error, RoomtoneError) else f"{type(error).__name__}: {error}"
            )

    def _swap(self, graph: object, param_map: SlotMap, meter_map: SlotMap) -> None:
        context = BuildContext(
            name="",
            spec=self._renderer.spec,
            clips=self._clips,
            events=self._session.events,
            param_map=param_map,
            param_memory=self._snapshot,
            meter_map=meter_map,
            meter_memory=self._session.meters,
        )
        # What processors read as they are built and warmed; the renderer keeps it up to date afterwards.
        np.copyto(self._snapshot, self._session.params)
        plan = compile_plan(graph, context, previous=self._renderer.newest_plan)  # type: ignore[arg-type]
        self._renderer.swap(plan)
        self.post(Swapped(plan.latency_frames))

    def _hold(self, number: int, memory: str, offset_bytes: int, frames: int) -> None:
        if memory not in self._segments:
            self._segments[memory] = Segment.attach(memory)
        samples = self._segments[memory].view(np.float32, frames * 2, offset_bytes)
        step = TOUCH_BYTES // 4
        for begin in range(0, len(samples), step):  # page faults here, and not in the DSP loop
            samples[begin : begin + step : _PAGE_FLOATS].sum()
        self._clips.add(number, samples.reshape(frames, 2))

    def _refuse(self, what: str) -> None:
        """Tell that something could not be taken; without anything to play there is no point in going on."""
        if self._renderer.newest_plan is not None:
            self.post(Notice(f"the change was refused, what plays goes on: {what}"))
        else:
            self.post(Failed(what))
            self._quit()

    def _quit(self) -> None:
        self.quitting.set()
        self._loop.close_soon(round(CLOSING_FADE_MS * 1e-3 * self._renderer.spec.rate_hz))
        self.begin.set()

    def _send(self) -> None:
        while self._renderer.retired:
            self._renderer.retired.popleft()  # freed here, where time does not matter
        while self._renderer.faults:
            self._tell(self._renderer.faults.popleft())
        try:
            while self._outbox:
                write_all(self._target, encode(self._outbox.popleft()))
        except OSError:  # the control process is gone, as `run` will find
            self._outbox.clear()

    def _tell(self, fault: Fault) -> None:
        now_s = time.monotonic()
        if now_s - self._fault_told_s.get(fault.node, -FAULT_INTERVAL_S) >= FAULT_INTERVAL_S:
            self._fault_told_s[fault.node] = now_s
            self._outbox.append(fault)
