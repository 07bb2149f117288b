"""Watches for kernels that are compiled, or loaded from the cache, while the engine plays: each may cost quanta.

Whatever the graph at the start needs is compiled before the device opens, so there is nothing to see here but a node
that arrives later with kernels of its own, or one that calls a kernel with types it was not warmed with.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from numba.core import event

from dsp.jit import on_compile
from engine.messages import Fault


class CompileGuard(event.Listener):  # type: ignore[misc]
    """Keeps a `Fault` for each kernel that is compiled or loaded after `arm`; `frame` tells when that is."""

    def __init__(self, frame: Callable[[], int]) -> None:
        self._frame = frame
        self._depth = threading.local()
        self.faults: deque[Fault] = deque()

    def arm(self) -> None:
        """Begin to watch; for the rest of the process's life."""
        event.register("numba:compile", self)
        on_compile(self._on_kernel)

    def on_start(self, compiling: Any) -> None:
        """Note the kernel, unless it is compiled as a part of another."""
        function = compiling.data["dispatcher"].py_func
        self._enter(f"{function.__module__}.{function.__qualname__}")

    def on_end(self, compiling: Any) -> None:
        """Notice the end of what `on_start` told of."""
        self._leave()

    def _on_kernel(self, name: str, finished: bool) -> None:
        if finished:
            self._leave()
        else:
            self._depth.value = 0  # one whose compilation failed was never finished
            self._enter(name)

    def _enter(self, name: str) -> None:
        depth = getattr(self._depth, "value", 0)
        self._depth.value = depth + 1
        if depth == 0:
            self.faults.append(
                Fault("compiler", self._frame(), f"{name} was compiled or loaded while playing")
            )

    def _leave(self) -> None:
        self._depth.value = max(0, getattr(self._depth, "value", 0) - 1)
