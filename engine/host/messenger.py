"""The engine's correspondence, on a thread of its own: builds what comes in, sends what goes out."""

import threading
import time
import traceback
from collections import deque

import numpy as np

from engine.clips import ClipStore
from engine.errors import RoomtoneError
from engine.host.callback import MESSAGES
from engine.host.compile_guard import CompileGuard
from engine.host.dsp_loop import DspLoop
from engine.host.framing import Inbox, write_all
from engine.host.protocol import decode, encode, graph_of
from engine.host.session import SAFETY_QUANTA, Session
from engine.host.shm import Segment
from engine.messages import (
    Built,
    ClipRef,
    Failed,
    Fault,
    Load,
    Notice,
    Quit,
    Refused,
    Start,
    Stop,
    Swap,
    Swapped,
    ToControl,
    Unload,
)
from engine.node import BuildContext
from engine.rendering import Renderer, compile_plan
from engine.slots import SlotMap, Slots

POLL_S = 0.2
"""How often faults and retired plans are looked for. Rarely: when this thread is preempted while it holds the
interpreter, the DSP loop waits for it."""

SWAP_POLL_S = 0.01
SWAP_POLLS = 100
"""How often, and how many times, it is looked whether a new graph plays alone, before it is every `POLL_S`."""

FAULT_INTERVAL_S = 1.0
"""How often one node's faults are told: a broken node may fail in every quantum."""

CLOSING_FADE_MS = 50.0
"""How fast the sound ends when the control process quits or dies."""

TOUCH_BYTES = 4 << 20
"""Of a clip, between two chances for the DSP loop to run."""

_PAGE_FLOATS = 1024


class Messenger(threading.Thread):
    """Reads messages from `inbox` and writes to the file descriptor `target`, which nobody else touches.

    `begin` is set when playing may begin, or when it never will: then `quitting` is set too, and `orphaned` if that
    is because the control process is gone.
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
        guard: CompileGuard,
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
        self._guard = guard
        # messenger only
        self._clips = ClipStore()
        self._segments: dict[str, Segment] = {}
        self._leaving: list[Segment] = []
        self._param_map = SlotMap()
        self._unplayed: deque[int] = deque()
        self._polls_left = 0
        self._safety_quanta = int(session.statistics[SAFETY_QUANTA])
        self._fault_told_s: dict[str, float] = {}
        # shared
        self.begin = threading.Event()
        self.quitting = threading.Event()
        self.orphaned = threading.Event()
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
            for body in self._inbox.wait(self._pause_s()):
                self._take(body)
            if self._inbox.closed and not self.quitting.is_set():
                self.orphaned.set()
                self._quit()
            self._look_round()
            self._send()
        self._send()

    def _pause_s(self) -> float:
        if not (self._unplayed and self._polls_left and self.begin.is_set()):
            return POLL_S
        self._polls_left -= 1
        return SWAP_POLL_S

    def _take(self, body: bytes) -> None:
        try:
            match message := decode(body):
                case Load(clips=clips):
                    for clip in clips:
                        self._hold(clip)
                case Unload(numbers=numbers, memories=memories):
                    for number in numbers:
                        self._clips.remove(number)
                    self._leaving += [self._segments.pop(name) for name in memories if name in self._segments]
                case Swap():
                    self._swap(message)
                case Start():
                    self._polls_left = SWAP_POLLS
                    self.begin.set()
                case Stop(fade_frames=fade_frames, at_frame=at_frame):
                    self._renderer.stop(fade_frames, at_frame)
                case Quit():
                    self._quit()
        except Exception as error:
            traceback.print_exc()
            self._refuse(Notice(_sentence(error)), _sentence(error))
        self._session.counters[MESSAGES] += 1

    def _swap(self, swap: Swap) -> None:
        try:
            context = BuildContext(
                name="",
                spec=self._renderer.spec,
                clips=self._clips,
                queues=self._session.queues,
                inputs=self._session.inputs,
                param_map=swap.param_map,
                param_memory=self._snapshot,
                meter_map=swap.meter_map,
                meter_memory=self._session.meters,
            )
            graph = graph_of(swap)
            self._bring_up_to_date(swap.param_map)
            plan = compile_plan(graph, context, previous=self._renderer.newest_plan)
            self._renderer.swap(plan, swap.number)
        except Exception as error:
            traceback.print_exc()
            self._refuse(Refused(swap.number, _sentence(error)), _sentence(error))
            return
        self._param_map = swap.param_map
        self._unplayed.append(swap.number)
        self._polls_left = SWAP_POLLS
        self.post(Built(swap.number, plan.latency_frames))

    def _bring_up_to_date(self, param_map: SlotMap) -> None:
        """Copy the slots that come with `param_map`, which processors read as they are built and warmed.

        All others are the renderer's, which is reading them and keeps them up to date.
        """
        for name, span in param_map.spans.items():
            if self._param_map.spans.get(name) != span:
                span.of(self._snapshot)[:] = span.of(self._session.params)

    def _hold(self, clip: ClipRef) -> None:
        if clip.memory not in self._segments:
            self._segments[clip.memory] = Segment.attach(clip.memory)
        samples = self._segments[clip.memory].view(np.float32, clip.frames * 2, clip.offset_bytes)
        step = TOUCH_BYTES // 4
        for begin in range(0, len(samples), step):  # page faults here, and not in the DSP loop
            samples[begin : begin + step : _PAGE_FLOATS].sum()
        self._clips.add(clip.number, samples.reshape(clip.frames, 2))

    def _refuse(self, answer: ToControl, what: str) -> None:
        """Tell that something could not be taken; without anything to play there is no point in going on."""
        if self._renderer.newest_plan is not None:
            self.post(answer)
        else:
            self.post(Failed(what))
            self._quit()

    def _quit(self) -> None:
        self.quitting.set()
        self._loop.close_soon(round(CLOSING_FADE_MS * 1e-3 * self._renderer.spec.rate_hz))
        self.begin.set()

    def _look_round(self) -> None:
        """Find what has happened elsewhere: nobody tells, since that would cost time in a quantum."""
        while self._unplayed and self._renderer.played_number >= self._unplayed[0]:
            self._outbox.append(Swapped(self._unplayed.popleft()))
        while self._renderer.retired:
            self._renderer.retired.popleft()  # freed here, where time does not matter
        # What a plan that was just freed still looked into goes now, else the next time.
        self._leaving = [segment for segment in self._leaving if not segment.close()]
        while self._renderer.faults:
            self._tell(self._renderer.faults.popleft())
        while self._guard.faults:
            self._outbox.append(self._guard.faults.popleft())
        quanta = int(self._session.statistics[SAFETY_QUANTA])
        if quanta != self._safety_quanta:
            self._safety_quanta = quanta
            ms = 1e3 * quanta * self._renderer.spec.quantum_s
            self._outbox.append(
                Notice(f"the sound was late: working {quanta} quanta ({ms:.1f} ms) ahead now")
            )

    def _send(self) -> None:
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


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, RoomtoneError) else f"{type(error).__name__}: {error}"
