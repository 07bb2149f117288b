"""The under-runs of a show: every one kept for the sidecar, and told once a second at most."""

import math
import time

from engine.control.incidents import Incidents
from engine.host.engine_handle import EngineHandle
from engine.host.session import Underrun

INTERVAL_S = 1.0


class UnderrunLog:
    """Follows an engine; `all` are those so far, as far as they are remembered."""

    def __init__(self, engine: EngineHandle, incidents: Incidents) -> None:
        self._engine = engine
        self._incidents = incidents
        self._read = self._told = 0
        self._told_s = -math.inf
        self.all: list[Underrun] = []

    def take(self) -> None:
        """Read what is new."""
        # The last one may have gone on since it was read; more than the log remembers are only counted.
        total = self._engine.statistics().underruns
        known, self._read = self._read, total
        if known:
            self.all[-1:] = self._engine.underruns_since(known - 1)[: max(1, total - known + 1)]
        else:
            self.all += self._engine.underruns_since(0)
        now_s = time.monotonic()
        untold = self.all[self._told :]
        if untold and now_s - self._told_s >= INTERVAL_S:
            self._told_s = now_s
            self._told = len(self.all)
            frame = untold[0].frame
            ms = 1e3 * sum(underrun.frames for underrun in untold) / self._engine.spec.rate_hz
            many = f"{len(untold)} under-runs" if len(untold) > 1 else "under-run"
            self._incidents.report(
                "underrun", f"{many} at frame {frame}, {ms:.1f} ms", frame, count=len(untold)
            )
