"""Keeps a show alive: an engine that dies or hangs is replaced, a device that goes away is waited for.

The control process holds all that the sound is made of (graph, parameters, clips, timeline), so a new engine goes on at
the frame at which the old one ended. Nothing here waits: `tick` looks, decides and comes back.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from engine.control.incidents import Incidents
from engine.errors import HostError
from engine.host.protocol import DriverName
from engine.host.session import EngineStatistics
from engine.messages import Built, DeviceLost, Failed, Started, ToControl

HANG_S = 1.0
"""How long an engine may show no life. Counted only while this side is alive itself: see `_Patience`."""

START_PATIENCE_S = 4.0
"""How long a new engine may take to open its device: beyond, the driver hangs."""

BUILD_PATIENCE_S = 120.0
"""How long a new engine may take to import and build what it has to play."""

STEADY_S = 5.0
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 2.0, 60.0
"""A device that is seen but cannot be played on is tried again after a while that doubles, until it has played for
`STEADY_S`."""

MOST_FAILURES = 5
"""After so many engines in a row that did not even begin to play, the show is given up."""

LONGEST_TICK_S = 0.1


class Engine(Protocol):
    """The engine as the supervisor sees it."""

    def statistics(self) -> EngineStatistics:
        """Return how it is doing."""
        ...

    def died(self) -> str | None:
        """Return how the process ended, None while it lives."""
        ...

    def end_engine(self) -> None:
        """End the process at once."""
        ...

    def revive(self, *, driver: DriverName | None = None, device: str | None = None) -> None:
        """Put a new process in its place."""
        ...


class Probe(Protocol):
    """Looks for a device that is gone."""

    found: bool

    def start(self, device: str) -> None:
        """Begin to look for `device`, by the name that `Started` gave."""
        ...

    def stop(self) -> None:
        """Look no more."""
        ...


class _Patience:
    """Counts the time in which nothing came, but at most `LONGEST_TICK_S` for each look.

    A machine that was asleep, or a control process that was held up itself, is no reason to kill an engine.
    """

    def __init__(self) -> None:
        self.waited_s = 0.0
        self._last_s = time.monotonic()

    def look(self) -> float:
        now_s = time.monotonic()
        self.waited_s += min(now_s - self._last_s, LONGEST_TICK_S)
        self._last_s = now_s
        return self.waited_s

    def renew(self) -> None:
        self.waited_s = 0.0
        self._last_s = time.monotonic()


class Supervisor:
    """Watches one engine from its first `Started` on.

    `rewind` is called with a frame between the end of an engine and the begin of the next, to queue what it has to
    play, and `still` is held meanwhile, so that nobody changes what plays. `healing` says that there is no sound just
    now because an engine is being replaced.

    An engine that plays is always replaced, however often it dies. Raises HostError from `tick` and `take` when
    `MOST_FAILURES` in a row could not even begin.
    """

    def __init__(
        self,
        engine: Engine,
        probe: Probe,
        incidents: Incidents,
        rewind: Callable[[int], None],
        still: AbstractContextManager[object],
    ) -> None:
        self._engine = engine
        self._probe = probe
        self._incidents = incidents
        self._rewind = rewind
        self._still = still
        self._patience = _Patience()
        self._heartbeat = -1
        self._failures = 0
        self._ended_s = 0.0
        self._lost: str | None = None
        self._lost_s = 0.0
        self._built = False
        self._backoff_s = 0.0
        self._not_before_s = 0.0
        self._back_s = 0.0
        self._failure_told = False
        self.healing = False
        self.driver: DriverName = "auto"
        self.device = ""

    def started(self, message: Started) -> None:
        """Take the first `Started` of a show, or that of an engine that took over."""
        first = not self.device
        self._failures = 0
        self._patience.renew()
        self.driver = "null" if message.driver == "null" else "portaudio"
        now_s = time.monotonic()
        silent_s = round(now_s - self._ended_s, 3)
        if self._lost is not None and self.driver == "portaudio":
            gone_s = round(now_s - self._lost_s, 3)
            self._report(
                "device-back",
                f"{message.device} is back after {gone_s:.1f} s",
                seconds=gone_s,
                silent_s=silent_s,
            )
            self._lost = None
            self._back_s = now_s
            self._failure_told = False
            self._probe.stop()
        elif self.healing and not (self._lost is not None and self._failure_told):
            on = "again" if message.device == self.device else f"on {message.device}"
            self._report(
                "engine-back", f"sound {on} after {silent_s:.1f} s", seconds=silent_s, device=message.device
            )
        self.healing = False
        if first or self._lost is None:
            self.device = message.device

    def take(self, message: ToControl) -> bool:
        """Take a message that is for the supervisor; return whether it was."""
        match message:
            case Started():
                self.started(message)
            case Built():
                self._built = True
                self._patience.renew()
                return False
            case DeviceLost(device, frame):
                self._lose(device, frame)
            case Failed(what) if self.healing:
                self._attempt_failed(what)
            case Failed(what):
                self._heal("engine-failed", f"{what}: a new one takes over")
            case _:
                return False
        return True

    def tick(self) -> None:
        """Look after the engine."""
        how = self._engine.died()
        if how is not None:
            if self.healing:
                self._attempt_failed(f"the new engine ended {how}")
            else:
                self._heal("engine-died", f"the engine ended {how}: a new one takes over")
            return
        if self.healing:
            waited_s = self._patience.look()
            if self._built and waited_s > START_PATIENCE_S:
                self._attempt_failed("the audio driver hangs", "driver-hung")
            elif waited_s > BUILD_PATIENCE_S:
                self._attempt_failed("the new engine does not come to play")
            return
        heartbeat = self._engine.statistics().heartbeat
        if heartbeat != self._heartbeat:
            self._heartbeat = heartbeat
            self._patience.renew()
        elif self._patience.look() > HANG_S:
            self._heal("engine-hung", f"the engine has not moved for {HANG_S:g} s: a new one takes over")
            return
        now_s = time.monotonic()
        if self._lost is None and now_s - self._back_s > STEADY_S:
            self._backoff_s = 0.0
        if self._lost is not None and self._probe.found and now_s >= self._not_before_s:
            self._probe.stop()
            self._heal("", f"{self._lost} is there again", driver="portaudio")

    def stop(self) -> None:
        """Look no more."""
        self._probe.stop()

    def _lose(self, device: str, frame: int) -> None:
        self._lost = device
        self._lost_s = time.monotonic()
        self._incidents.report(
            "device-lost", f"{device} is gone: playing on silently, until it is back", frame, device=device
        )
        self._probe.start(device)

    def _attempt_failed(self, what: str, kind: str = "start-failed") -> None:
        """Go on without the device, which may be what failed, and look for it."""
        self._failures += 1
        now_s = time.monotonic()
        if self._lost is None and self.driver != "null":
            self._lost, self._lost_s = self.device, now_s
        self._backoff_s = min(LONGEST_BACKOFF_S, max(FIRST_BACKOFF_S, 2.0 * self._backoff_s))
        self._not_before_s = now_s + self._backoff_s
        # Once an outage: what is tried again and again fails for the same reason.
        told, self._failure_told = self._failure_told, self._lost is not None
        self._heal("" if told else kind, f"{what}: playing on silently", driver="null")
        if self._lost is not None:
            self._probe.start(self._lost)

    def _heal(self, kind: str, text: str, driver: DriverName | None = None) -> None:
        if not self.healing:
            self._ended_s = time.monotonic()
        if kind:
            self._report(kind, text)
        if self._failures > MOST_FAILURES:
            raise HostError(
                f"{self._failures} engines in a row could not begin; the last: {text.partition(': ')[0]}"
            )
        if driver is None:
            driver = "null" if self._lost is not None or self.driver == "null" else "portaudio"
        with self._still:
            self._engine.end_engine()
            self._rewind(self._engine.statistics().frame_rendered)
            # By its name: another device in its place would be a surprise.
            self._engine.revive(driver=driver, device=self.device if driver == "portaudio" else None)
        self.healing = True
        self._built = False
        self._patience.renew()
        self._heartbeat = -1

    def _report(self, kind: str, text: str, **detail: object) -> None:
        self._incidents.report(kind, text, self._engine.statistics().frame_rendered, **detail)
