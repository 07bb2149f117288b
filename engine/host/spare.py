"""A second engine process that has imported everything and waits to take the place of one that fails."""

import contextlib
import time

from engine.host.child_process import ChildProcess
from engine.messages import Preload

RETRY_S = 2.0
LONGEST_RETRY_S = 60.0
"""How long after a spare that died the next one is started: the first time, and at most, doubling in between."""


class SpareEngine:
    """Keeps one engine process ready: `want` it, `look_after` it now and then, `take` it.

    While it is `held` none is started.
    """

    def __init__(self, verbose: bool) -> None:
        self._verbose = verbose
        self._modules: tuple[str, ...] | None = None
        self._child: ChildProcess | None = None
        self._not_before_s = 0.0
        self._retry_s = RETRY_S
        self.held = False

    @property
    def ready(self) -> bool:
        """Whether a process waits that has imported everything."""
        return self._child is not None and self._child.ready and self._child.alive

    @property
    def pid(self) -> int | None:
        """The process number of the spare, ready or not."""
        return self._child.process.pid if self._child is not None else None

    def want(self, modules: tuple[str, ...]) -> None:
        """Have a process that has imported `modules`; one that has imported others is replaced."""
        if self._modules != modules:
            self._end()
        self._modules = modules
        self.look_after()

    def look_after(self) -> None:
        """Start a process if there should be one, or if it has died."""
        if self._child is not None and not self._child.alive:
            self._end()
            self._wait_a_while()
        if self._modules is None or self._child is not None or self.held:
            return
        if time.monotonic() < self._not_before_s:
            return
        with contextlib.suppress(OSError):  # no process to be had now: later, perhaps
            self._child = ChildProcess(verbose=self._verbose, spare=True)
            self._child.send(Preload(self._modules))
            return
        self._wait_a_while()

    def take(self) -> ChildProcess | None:
        """Give the process away if it lives: one that is not ready yet will be sooner than a new one."""
        if self._child is not None and not self._child.alive:
            self._end()
        child, self._child = self._child, None
        if child is not None and child.ready:
            self._retry_s = RETRY_S
        return child

    def close(self) -> None:
        """Have no process any more."""
        self._modules = None
        self._end()

    def _wait_a_while(self) -> None:
        self._not_before_s = time.monotonic() + self._retry_s
        self._retry_s = min(2.0 * self._retry_s, LONGEST_RETRY_S)

    def _end(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None
