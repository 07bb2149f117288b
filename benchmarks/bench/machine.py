"""What a result was measured on. Everything that cannot be told is None: nothing here fails, or takes a second."""

import ctypes
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from engine.host.ask import ask
from engine.host.machine import SYSTEM, read_memory, read_processor

ROOT = Path(__file__).resolve().parent.parent.parent
GIT_TIMEOUT_S = 0.3

T = TypeVar("T")

LIBRARIES = ("numpy", "numba", "llvmlite", "pedalboard")
PORTAUDIO = {"darwin": "libportaudio.2.dylib"}


def describe(root: Path = ROOT, system: Path = SYSTEM) -> dict[str, Any]:
    """Return the machine and the program as JSON has them; `root` is where the program is, `system` that of /proc."""
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cpu": _cpu(system),
        "kernel": f"{platform.system()} {platform.release()}".strip() or None,
        "memory_bytes": _or_none(lambda: memory.total_bytes if (memory := read_memory(system)) else None),
        "load_average": _or_none(lambda: [round(load, 2) for load in os.getloadavg()]),
        "versions": {
            "roomtone": _version("roomtone"),
            "python": f"{sys.implementation.name} {platform.python_version()}",
            **{name: _version(name) for name in LIBRARIES},
            "portaudio": _or_none(_portaudio),
        },
        "git": _or_none(lambda: _git(root)),
    }


def _cpu(system: Path) -> dict[str, Any]:
    cpu = _or_none(lambda: read_processor(system))
    return {
        "model": cpu.model if cpu else None,
        "processors": cpu.count if cpu else os.cpu_count(),
        "governors": list(cpu.governors) if cpu else None,
        "virtual": cpu.virtual if cpu else None,
        "caches": _or_none(lambda: _caches(system)),
        "simd_lanes": _or_none(_simd_lanes),
    }


def _caches(system: Path) -> dict[str, str] | None:
    """Return the caches of the first processor: sizes as the kernel writes them, by level and kind."""
    kinds = {"Data": "d", "Instruction": "i"}
    found = {}
    for index in sorted(system.glob("sys/devices/system/cpu/cpu0/cache/index[0-9]*")):
        level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        found[f"L{level}{kinds.get(kind, '')}"] = size
    return found or None


def _simd_lanes() -> int:
    from dsp.vectors import WIDTH

    return WIDTH


def _portaudio() -> str | None:
    """Return the version of the library that is there; it need not be initialised for that, which could hang."""
    try:
        library = ctypes.CDLL(PORTAUDIO.get(sys.platform, "libportaudio.so.2"))
    except OSError:
        return None
    library.Pa_GetVersionText.restype = ctypes.c_char_p
    text: bytes = library.Pa_GetVersionText()
    return text.decode(errors="replace").partition(",")[0]


def _git(root: Path) -> dict[str, Any] | None:
    """Return commit and whether tracked files differ from it; None if `root` is no checkout."""
    if not (root / ".git").exists():  # in a folder of another project git would tell of that
        return None
    # What git was told about another repository, by a hook that we run in, is not for this one.
    environment: Mapping[str, str] = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    git = ["git", "--no-optional-locks", "-C", str(root)]
    head = ask([*git, "rev-parse", "HEAD"], GIT_TIMEOUT_S, environment)
    if head.code:
        return None
    dirty = None
    with suppress(OSError):
        changes = ask([*git, "status", "--porcelain", "--untracked-files=no"], GIT_TIMEOUT_S, environment)
        dirty = bool(changes.output.strip()) if not changes.code else None
    return {"commit": head.output.strip(), "dirty": dirty}


def _version(name: str) -> str | None:
    return _or_none(lambda: metadata.version(name))


def _or_none(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except Exception:  # a description is worth less than the measurement it goes with
        return None
