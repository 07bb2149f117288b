"""The C twin of the audio-rate kernels: built by the benchmark where there is a compiler, never by the package."""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dsp.bank import BarkBank
from dsp.bank_design import TAPS_PER_PHASE
from dsp.dynamic_eq import DynamicEq
from dsp.vectors import WIDTH

Samples = npt.NDArray[np.float32]

SOURCE = Path(__file__).parent
FLAGS = ("-O3", "-march=native", "-std=gnu17", f"-DWIDTH={WIDTH}")
"""Without -ffast-math: the guards need NaN. GCC itself contracts a b + c to one rounding, as the kernels do."""
BELLS = 4
"""Bells per track the twin is written for."""


class NoTwinError(Exception):
    """There is no twin to compare with; the message says why."""


class Twin:
    """Both kernels in C, working on the arrays of a `BarkBank` and a `DynamicEq`."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which(os.environ.get("CC", "gcc"))
        if compiler is None:
            raise NoTwinError("no C compiler: install gcc, or name one in CC")
        library = folder / "twin.so"
        sources = [str(SOURCE / name) for name in ("bank.c", "bells.c")]
        command = [compiler, *FLAGS, "-fPIC", "-shared", *sources, "-o", str(library)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoTwinError(f"{compiler} failed: {(done.stderr.splitlines() or ['no message'])[0]}")
        version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True)
        self.built_with = f"{version.stdout.splitlines()[0]}, {' '.join(FLAGS)}"
        self._library = ctypes.CDLL(str(library))

    def bank(self, bank: BarkBank) -> "TwinBank":
        """Return what filters as `bank.filter`, on the arrays of this bank."""
        return TwinBank(self._library, bank)

    def bells(self, eq: DynamicEq) -> "TwinBells":
        """Return what filters as `eq.filter`, on the arrays of this EQ."""
        return TwinBells(self._library, eq)


def _pointer(array: npt.NDArray[np.generic]) -> ctypes.c_void_p:
    if not array.flags.c_contiguous:
        raise ValueError("only contiguous arrays have a twin")
    return ctypes.c_void_p(array.ctypes.data)


class TwinBank:
    """`BarkBank.filter` in C."""

    def __init__(self, library: ctypes.CDLL, bank: BarkBank) -> None:
        self._filter = library.filter_bands
        self._bank = bank
        self._state = [
            _pointer(array)
            for array in (
                bank._dither,
                bank._taps,
                bank._coefs,
                bank._lanes,
                bank._heard,
                bank._peak,
                bank._slot,
                bank._track,
                bank._awake,
                bank._mono,
                bank._packed,
                bank._low,
            )
        ]

    def arguments(self, x: Samples, passed: int) -> tuple[object, ...]:
        """Return what `run` takes, made ready before the clock starts."""
        bank = self._bank
        factor = len(bank._taps) // TAPS_PER_PHASE
        counts = (len(x), bank.tracks, passed, bank.low, bank.usable, factor)
        return _pointer(x), *(ctypes.c_int64(n) for n in counts), *self._state

    def run(self, arguments: tuple[object, ...]) -> None:
        """Filter."""
        self._filter(*arguments)


class TwinBells:
    """`DynamicEq.filter` in C, for four bells per track."""

    def __init__(self, library: ctypes.CDLL, eq: DynamicEq) -> None:
        if eq.bells != BELLS:
            raise ValueError(f"the twin has {BELLS} bells per track")
        self._filter = library.filter_bells
        self._eq = eq

    def arguments(self, x: Samples, y: Samples, passed: int) -> tuple[object, ...]:
        """Return what `run` takes, made ready before the clock starts."""
        eq = self._eq
        frames, width, start = (ctypes.c_int64(n) for n in (*x.shape, passed))
        state = _pointer(eq._lanes), _pointer(eq._working), ctypes.c_int64(len(eq._working)), _pointer(eq._z)
        return _pointer(x), _pointer(y), frames, width, start, *state

    def run(self, arguments: tuple[object, ...]) -> None:
        """Filter."""
        self._filter(*arguments)
