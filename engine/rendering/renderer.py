"""The renderer: one quantum at a time, the same lines for the sound card, the null clock and the file.

It owns the plan and the transport frame, the only clock there is. Other threads talk to it through `swap` and
`stop`, which leave a message in its inbox; it takes them at the start of a quantum.
"""

from collections import deque

import numpy as np

from dsp.blocks import fade
from dsp.guard import LIMIT_AMPLITUDE, sanitise, watch
from dsp.moves import take_params
from engine.messages import Fault
from engine.moves import MoveLog
from engine.rendering.bridge import Handover, Stage, hand_over
from engine.rendering.plan import Plan
from engine.rendering.steps import Step
from engine.slots import Slots
from engine.spec import Block, StreamSpec


class Renderer:
    """Renders quanta of the present plan.

    `params` is the memory the control side writes; `snapshot`, the memory the plan's processors were built with,
    is brought up to date from it once a quantum. Both float64 `[SLOT_CAPACITY]`. What has changed goes to `moves`.
    """

    def __init__(
        self, spec: StreamSpec, params: Slots, snapshot: Slots, moves: MoveLog | None = None
    ) -> None:
        # set once
        self.spec = spec
        self._params = params
        self._snapshot = snapshot
        self._moves = MoveLog() if moves is None else moves
        self._noted = np.full(len(snapshot), np.nan)
        self._used = (params[:0], snapshot[:0], self._noted[:0])
        # render thread only
        self.frame = 0
        self._plan: Plan | None = None
        self._handover: Handover | None = None
        self._stage = 0
        self._stop_at: int | None = None
        self._stop_fade_frames = 1
        # control side only
        self._newest: Plan | None = None
        # shared: each written by one side only
        self._inbox: deque[Handover] = deque()
        self._stop_request: tuple[int | None, int] | None = None
        self.played_number = 0
        """The number of the newest plan that has played alone."""
        self.retired: deque[Plan] = deque()
        self.faults: deque[Fault] = deque()

    # control side ---------------------------------------------------------------------------------------------

    def swap(self, plan: Plan, number: int = 0) -> None:
        """Take over `plan`, compiled after the newest, from the next quantum on. `number` is told when it plays alone.

        Swaps that come faster than they are done wait for each other. Plans given up come home through `retired`.
        """
        handover = hand_over(self._newest, plan, number, self.spec)
        if self._newest is not None:
            self._newest.luggage.append(handover)
        self._newest = plan
        self._inbox.append(handover)

    def stop(self, fade_frames: int, at_frame: int | None = None) -> None:
        """Fade to silence over `fade_frames`, from `at_frame` or at once."""
        self._stop_request = (at_frame, max(1, fade_frames))

    @property
    def finished(self) -> bool:
        """True once the fade-out is complete."""
        return self._stop_at is not None and self.frame >= self._stop_at + self._stop_fade_frames

    @property
    def fade(self) -> tuple[int, int] | None:
        """The frame at which the fade-out begins and how many frames it takes; None if there is none."""
        return None if self._stop_at is None else (self._stop_at, self._stop_fade_frames)

    @property
    def settled(self) -> bool:
        """True while the newest plan plays alone and no other waits."""
        return self._newest is self._plan and self._handover is None and not self._inbox

    @property
    def newest_plan(self) -> Plan | None:
        """The plan given to `swap` last: what the next one is compiled after."""
        return self._newest

    # render thread --------------------------------------------------------------------------------------------

    def render(self, out: Block) -> None:
        """Fill `out` (`[quantum_frames, 2]`) with the next quantum. Never raises; a failing node is muted."""
        if self._stop_request is not None:
            request, self._stop_request = self._stop_request, None
            self._take_stop(*request)
        while self._inbox and self._handover is None:
            self._handover = self._inbox.popleft()
            self._stage = 0
            self._enter_stage()
        if self._handover is not None:
            stage = self._handover.stages[self._stage]
            self._run(stage.steps, self._handover.param_slots)
            out[:] = stage.output
        elif self._plan is not None:
            self._run(self._plan.steps, self._plan.param_slots)
            out[:] = self._plan.output
        else:
            out.fill(0.0)
        if self._stop_at is not None:
            fade(out, self.frame - self._stop_at, self._stop_fade_frames, True)
        if sanitise(out, LIMIT_AMPLITUDE):
            self.faults.append(Fault("output", self.frame, "non-finite samples were muted"))
        self.frame += self.spec.quantum_frames
        if self._handover is not None:
            self._leave_stage(self._handover.stages[self._stage])

    def _run(self, steps: tuple[Step, ...], param_slots: int) -> None:
        self._take_params(param_slots)
        frame = self.frame
        for step in steps:
            guard, ins = step.guard, step.ins
            if guard is not None and guard.entering:
                ins = guard.enter(ins)
            try:
                step.processor.process(ins, step.outs, frame)
            except Exception as error:
                self._tend(step, error)
                continue
            if guard is not None and guard.mending:
                self._tend(step)
                continue
            for block in step.watched:
                if not watch(*block):
                    self._tend(step)
                    break

    def _take_params(self, slots: int) -> None:
        if len(self._used[0]) != slots:
            self._used = self._params[:slots], self._snapshot[:slots], self._noted[:slots]
        moves = self._moves
        take_params(*self._used, self.frame, moves.counters, moves.places, moves.values)

    def _tend(self, step: Step, error: Exception | None = None) -> None:
        if step.guard is not None:
            told = step.guard.tend(step.processor, step.outs, error)
        else:
            told = f"{type(error).__name__}: {error}"
            for block in step.outs:
                block.fill(0.0)
        if told:
            self.faults.append(Fault(step.name, self.frame, told))

    def _take_stop(self, at_frame: int | None, fade_frames: int) -> None:
        if self._stop_at is not None and self.frame > self._stop_at:
            # A fade that has begun goes on: a second one would begin at full level again.
            return
        self._stop_at = self.frame if at_frame is None else max(at_frame, self.frame)
        self._stop_fade_frames = fade_frames

    def _enter_stage(self) -> None:
        """Begin the next stage of the handover that takes any time, or play the plan it leads to."""
        handover = self._handover
        assert handover is not None
        self._take_params(handover.param_slots)
        while self._stage < len(handover.stages):
            stage = handover.stages[self._stage]
            self._adopt(stage, handover.plan)
            stage.clock.began_at = self.frame
            if stage.frames:
                return
            self._stage += 1
        given_up, self._plan = self._plan, handover.plan
        self.played_number = handover.number
        self._handover = None
        if given_up is not None:
            self.retired.append(given_up)

    def _leave_stage(self, stage: Stage) -> None:
        if self.frame - stage.clock.began_at >= stage.frames:
            self._stage += 1
            self._enter_stage()

    def _adopt(self, stage: Stage, plan: Plan) -> None:
        for name, new, old in stage.adoptions:
            try:
                new.adopt(old)
            except Exception as error:
                new.reset()
                plan.guards[name].restart()
                self.faults.append(Fault(name, self.frame, f"swap: {type(error).__name__}: {error}"))
