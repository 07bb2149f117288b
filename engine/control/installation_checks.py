"""Is the machine fit to play: Python, the libraries, where the program is loaded from, its cache, and the disk."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from dsp.kernel_cache import CacheState
from engine.finding import Finding
from engine.host.trial import Trial

TESTED_PYTHON = ((3, 11), (3, 13))
"""The first and the last version it is tested with."""

FRAME_BYTES = 8
"""Of a recording: stereo, 32 bits."""

LEAST_RECORDING_MINUTES = 60.0
LEAST_CACHE_BYTES = 64 << 20
LEAST_LOG_BYTES = 16 << 20
"""Logs of incidents take up to 2 MiB, a cache of kernels 4 to 8."""

OWN_ENVIRONMENT = (
    "start the installed command, `roomtone`, from another folder and without PYTHONPATH; "
    "`pipx install` gives it an environment of its own"
)
COMPILE_AHEAD = "compile ahead: `roomtone play --driver null --duration 1`"


def check_python(version: Sequence[int], implementation: str, locked: bool) -> Finding:
    """`locked` says whether the interpreter has its global lock, which is what kernels and queues are tested with."""
    first, last = TESTED_PYTHON
    text = f"{implementation} {'.'.join(map(str, version[:3]))}"
    tested = f"{first[0]}.{first[1]} to {last[0]}.{last[1]}"
    remedy = f"use CPython {tested}"
    if tuple(version[:2]) < first:
        return Finding("Python", "failed", f"{text} is too old", remedy)
    if not locked:
        text += " runs without its global lock, which is not tested"
        return Finding("Python", "warning", text, f"{remedy}, the ordinary build")
    if tuple(version[:2]) > last or implementation != "CPython":
        return Finding("Python", "warning", f"{text} is not tested", remedy)
    return Finding("Python", "ok", text)


def check_libraries(trial: Trial) -> Finding:
    """Those that the engine cannot do without."""
    if trial.failure:
        remedy = "install roomtone anew in an environment of its own (`pipx install`)"
        if "signal 4" in trial.failure:
            remedy = (
                "it is built for newer processors than this one: build it from source, or use another machine"
            )
        return Finding("libraries", "failed", trial.failure, remedy)
    return Finding("libraries", "ok", ", ".join(f"{name} {v}" for name, v in trial.versions.items()))


def check_places(places: Mapping[str, Sequence[Path]], installed: Path | None, current: Path) -> Finding:
    """The names of the packages are common words. `places` are the folders each is found in: one, and the same.

    `installed` is where the installation says they are (None: there is none), `current` the current folder.
    """
    name = "packages"
    found = {package: [folder.resolve() for folder in folders] for package, folders in places.items()}
    roots = {folder for folders in found.values() for folder in folders}
    if len(roots) != 1 or any(len(folders) != 1 for folders in found.values()):
        text = "; ".join(f"{p} from {' and '.join(map(str, f)) or 'nowhere'}" for p, f in found.items())
        return Finding(name, "warning", f"not from one place: {text}", OWN_ENVIRONMENT)
    (root,) = roots
    text = f"{', '.join(found)} from {root}"
    if installed is None:
        return Finding(name, "ok", f"{text}, not installed")
    if root != installed.resolve():
        where = ", the current folder" if root == current.resolve() else ""
        return Finding(
            name, "warning", f"{text}{where}, not from the installation in {installed}", OWN_ENVIRONMENT
        )
    return Finding(name, "ok", text)


def check_cache(cache: CacheState) -> Finding:
    """Compiled kernels are code: whoever can write them runs as this user."""
    name = "kernel cache"
    every_start = "every start compiles, up to a minute"
    if cache.folder is None:
        remedy = "set XDG_CACHE_HOME to a folder that can be written"
        return Finding(name, "warning", f"no folder for it can be made: {every_start}", remedy)
    if not cache.writable:
        text = f"{cache.folder} cannot be written"
        if cache.compiled < cache.kernels:
            text += f" and has {cache.compiled} of {cache.kernels} kernels: {every_start}"
        return Finding(name, "warning", text, f"`chmod u+rwx {cache.folder}`, or set XDG_CACHE_HOME")
    if not cache.owned or cache.mode & 0o022:
        who = "others can write" if cache.owned else "another user owns"
        text = f"{who} {cache.folder}, and could have you run their code"
        remedy = f"`chmod go-w {cache.folder.parent} && rm -r {cache.folder}`; the next start makes it anew"
        return Finding(name, "warning", text, remedy)
    text = f"{cache.folder} ({cache.size_bytes / 2**20:.1f} MiB)"
    if not cache.compiled:
        text = f"empty: the first start compiles {cache.kernels} kernels, up to a minute"
        return Finding(name, "warning", text, COMPILE_AHEAD)
    if cache.compiled < cache.kernels:
        missing = f"{cache.kernels - cache.compiled} of {cache.kernels} kernels"
        return Finding(name, "warning", f"{text}: the next start compiles {missing}", COMPILE_AHEAD)
    return Finding(name, "ok", f"{cache.kernels} kernels in {text}")


def check_disk(what: str, folder: Path, free_bytes: int | None, writable: bool, least_bytes: int) -> Finding:
    """There must be room for `what` is kept in `folder`; `free_bytes` is None where it cannot be told."""
    name = f"disk, {what}"
    if not writable:
        return Finding(name, "warning", f"{folder} cannot be written", f"`chmod u+rwx {folder}`")
    if free_bytes is None:
        return Finding(name, "warning", f"{folder} does not tell how much is free", "look with `df -h`")
    text = f"{_size(free_bytes)} free in {folder}"
    return Finding(name, *(("ok", text) if free_bytes >= least_bytes else ("warning", text, "free some")))


def check_recordings(folder: Path, free_bytes: int | None, writable: bool, rate_hz: int) -> Finding:
    """`roomtone play --record` writes to the current folder unless the name says another."""
    name = "disk, recordings"
    if not writable or free_bytes is None:
        text = f"{folder} {'cannot be written' if not writable else 'does not tell how much is free'}"
        return Finding(name, "warning", text, "record to another folder: `--record FOLDER/take.wav`")
    minutes = free_bytes / (60.0 * rate_hz * FRAME_BYTES)
    text = f"{_size(free_bytes)} free in {folder}: {_duration(minutes)} at {rate_hz} Hz"
    if minutes < LEAST_RECORDING_MINUTES:
        return Finding(name, "warning", text, "free some, or record to another disk")
    return Finding(name, "ok", text)


def _duration(minutes: float) -> str:
    return f"{minutes / 60.0:.0f} hours" if minutes >= 180.0 else f"{minutes:.0f} minutes"


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 1 << 30 else f"{count / 2**20:.0f} MiB"
