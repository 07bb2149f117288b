"""The renderer: one quantum at a time, the same lines for the sound card, the null clock and the file.

It owns the plan and the transport frame, the only clock there is. Other threads talk to it through `swap` and
`stop`, which leave a message in its inbox; it takes them at the start of a quantum.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from dsp.blocks import fade
from dsp.guard import LIMIT_AMPLITUDE, sanitise
from engine.messages import Fault
from engine.node import Processor
from engine.rendering.plan import Plan, Step
from engine.slots import Slots
from engine.spec import Block, StreamSpec

SWAP_FADE_MS = 10.0
"""How long what leaves the graph fades out, and then what arrives fades in."""


@dataclass(slots=True)
class _Transition:
    """A plan on its way in: `leaving` steps of the old plan fade out, then `arriving` of the new fade in."""

    plan: Plan
    leaving: tuple[Step, ...]
    arriving: tuple[Step, ...]
    adoptions: tuple[tuple[Processor, Processor], ...]
    done_frames: int = 0
    taken_over: bool = False


class Renderer:
    """Renders quanta of the present plan.

    `params` is the memory the control side writes; `snapshot`, the memory the plan's processors were built with,
    is brought up to date from it once a quantum. Both float64 `[SLOT_CAPACITY]`.
    """

    def __init__(self, spec: StreamSpec, params: Slots, snapshot: Slots) -> None:
        # set once
        self.spec = spec
        self._params = params
        self._snapshot = snapshot
        self._swap_fade_frames = max(1, round(SWAP_FADE_MS * 1e-3 * spec.rate_hz))
        # render thread only
        self.frame = 0
        self._plan: Plan | None = None
        self._transition: _Transition | None = None
        self._stop_at: int | None = None
        self._stop_fade_frames = 1
        # control side only
        self._newest: Plan | None = None
        # shared: each written by one side only
        self._inbox: deque[_Transition] = deque()
        self._stop_request: tuple[int | None, int] | None = None
        self.retired: deque[Plan] = deque()
        self.faults: deque[Fault] = deque()

    # control side ---------------------------------------------------------------------------------------------

    def swap(self, plan: Plan) -> None:
        """Take over `plan` from the next quantum on. Plans given up come home through `retired`."""
        self._inbox.append(_plan_transition(self._newest, plan))
        self._newest = plan

    def stop(self, fade_frames: int, at_frame: int | None = None) -> None:
        """Fade to silence over `fade_frames`, from `at_frame` or at once."""
        self._stop_request = (at_frame, max(1, fade_frames))

    @property
    def finished(self) -> bool:
        """True once the fade-out is complete."""
        return self._stop_at is not None and self.frame >= self._stop_at + self._stop_fade_frames

    @property
    def settled(self) -> bool:
        """True while the newest plan plays and no earlier one fades out or waits."""
        return self._newest is self._plan and self._transition is None and not self._inbox

    @property
    def newest_plan(self) -> Plan | None:
        """The plan given to `swap` last: what the next one is compiled from."""
        return self._newest

    # render thread --------------------------------------------------------------------------------------------

    def render(self, out: Block) -> None:
        """Fill `out` (`[quantum_frames, 2]`) with the next quantum. Never raises; a failing node is muted."""
        if self._stop_request is not None:
            request, self._stop_request = self._stop_request, None
            self._take_stop(*request)
        while self._inbox and self._transition is None:
            self._transition = self._inbox.popleft()
            if not self._transition.leaving:
                self._advance(self._transition)
        plan = self._plan
        if plan is None:
            out.fill(0.0)
        else:
            np.copyto(self._snapshot[: plan.param_slots], self._params[: plan.param_slots])
            self._run(plan)
            np.copyto(out, plan.output)
        if self._stop_at is not None:
            fade(out, self.frame - self._stop_at, self._stop_fade_frames, True)
        if sanitise(out, LIMIT_AMPLITUDE):
            self.faults.append(Fault("output", self.frame, "non-finite samples were muted"))
        self.frame += self.spec.quantum_frames

    def _run(self, plan: Plan) -> None:
        transition = self._transition
        fading: tuple[Step, ...] = ()
        if transition is not None:
            fading = transition.arriving if transition.taken_over else transition.leaving
        for step in plan.steps:
            try:
                step.processor.process(step.ins, step.outs, self.frame)
            except Exception as error:
                self._mute(step, error)
            if step.processor.faults:
                step.processor.faults = 0
                self.faults.append(Fault(step.name, self.frame, "its output ran away; muted and reset"))
            if transition is not None and step in fading:
                for block in step.outs:
                    fade(block, transition.done_frames, self._swap_fade_frames, not transition.taken_over)
        if transition is not None:
            transition.done_frames += self.spec.quantum_frames
            if not fading or transition.done_frames >= self._swap_fade_frames:
                self._advance(transition)

    def _take_stop(self, at_frame: int | None, fade_frames: int) -> None:
        if self._stop_at is not None and self.frame > self._stop_at:
            # A fade that has begun goes on: a second one would begin at full level again.
            return
        self._stop_at = self.frame if at_frame is None else max(at_frame, self.frame)
        self._stop_fade_frames = fade_frames

    def _advance(self, transition: _Transition) -> None:
        """Go on from fading out to fading in, or from there to steady."""
        transition.done_frames = 0
        if transition.taken_over:
            self._transition = None
            return
        for new, old in transition.adoptions:
            try:
                new.adopt(old)
            except Exception as error:
                new.reset()
                self.faults.append(Fault("swap", self.frame, f"{type(error).__name__}: {error}"))
        if self._plan is not None:
            self.retired.append(self._plan)
        self._plan = transition.plan
        transition.taken_over = True
        if not transition.arriving:
            self._transition = None

    def _mute(self, step: Step, error: Exception) -> None:
        for block in step.outs:
            block.fill(0.0)
        self.faults.append(Fault(step.name, self.frame, f"{type(error).__name__}: {error}"))
        try:
            step.processor.reset()
        except Exception as worse:
            self.faults.append(Fault(step.name, self.frame, f"reset: {type(worse).__name__}: {worse}"))


def _plan_transition(old: Plan | None, new: Plan) -> _Transition:
    """Sort the nodes of both plans into kept, adopted, leaving and arriving.

    A processor that stays but is fed by others than before, or at another moment, leaves and arrives as well: what
    it puts out would jump where its inputs do. So do the old and the new output where they are not the same pin.
    """
    if old is None:
        return _Transition(new, (), (), ())
    before = {s.name: s for s in old.steps if s.node is not None}
    adoptions = []
    arriving = []
    steady = set()
    for step in new.steps:
        if step.node is None:
            continue
        same = before.get(step.name)
        goes_on = same is not None and step.feeds == same.feeds
        if same is not None and step.processor is not same.processor:
            if step.processor.can_adopt(same.processor):
                adoptions.append((step.processor, same.processor))
            else:
                goes_on = False
        if new.output_pin != old.output_pin and step.name in (new.output_pin.node, old.output_pin.node):
            goes_on = False
        if goes_on:
            steady.add(step.name)
        else:
            arriving.append(step)
    leaving = tuple(s for s in before.values() if s.name not in steady)
    return _Transition(new, leaving, tuple(arriving), tuple(adoptions))
