"""Compiles the kernels in a process of its own, from the other end: what a second processor can do on a first start.

    python -m dsp.ahead

Compiling goes from one kernel to the next and has one processor busy for about a minute. This process begins with what
a program comes to last; both keep what they compile in the cache, so they meet in the middle.
"""

import contextlib
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import TracebackType

import dsp
from dsp import jit

MODULES = (
    "dsp.masking",
    "dsp.dynamic_eq",
    "dsp.bank",
    "dsp.unmask",
    "dsp.blocks",
    "dsp.playback",
    "dsp.synth.kernels",
    "dsp.mixing",
    "dsp.levels",
    "dsp.limiter",
    "dsp.true_peak",
    "dsp.ramp",
    "dsp.crossfade",
    "dsp.compression",
    "dsp.loudness",
    "dsp.loudness_trim",
    "dsp.clip_loudness",
    "dsp.guard",
    "dsp.moves",
    "dsp.capture",
    "dsp.fdn",
    "dsp.forest",
    "dsp.early",
    "dsp.blind_decay_kernels",
    "dsp.identify_kernels",
)
"""All modules with kernels, what `engine.control.show` comes to last first; what few scenes need at the end."""


class Ahead:
    """A context manager that may be told of kernels, as a `dsp.jit.CompileListener`.

    When one had to be compiled, and there are processors and a cache for it, the other process is started; it is ended
    with the block. `compiled` says whether any had to be.
    """

    def __init__(self) -> None:
        self.compiled = False
        self._before = jit.compiled_kernels()
        self._process: subprocess.Popen[bytes] | None = None

    def listen(self, name: str, finished: bool) -> None:
        """Be told of a kernel."""
        if finished and not self.compiled and jit.compiled_kernels() > self._before:
            self.compiled = True
            self._start()

    def _start(self) -> None:
        """Start the process, unless it would have nothing to work with."""
        if jit.cached() and (os.cpu_count() or 1) > 1:
            with contextlib.suppress(OSError):
                root = str(Path(dsp.__path__[0]).resolve().parent)
                path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
                self._process = subprocess.Popen(
                    # A `dsp.py` in the current folder must not take the place of ours.
                    [sys.executable, "-P", "-m", "dsp.ahead"],
                    env={**os.environ, "PYTHONPATH": path},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )

    def __enter__(self) -> "Ahead":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def main() -> None:
    """Compile them all, or as many as the parent lives to see."""
    parent = os.getppid()
    for module in MODULES:
        if os.getppid() != parent:
            return
        import_module(module)


if __name__ == "__main__":
    main()
