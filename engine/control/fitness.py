"""Looks at everything that decides whether this machine is fit to play, and has it judged."""

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import metadata, util
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlparse

from engine.control import installation_checks as installation
from engine.control.incidents import default_log
from engine.control.midi.midi_check import check_midi
from engine.control.midi.ports import list_ports
from engine.errors import HostError
from engine.finding import Finding
from engine.host import device_checks, machine_checks
from engine.host.audio_servers import ask_jack, ask_pipewire
from engine.host.devices import ask_portaudio
from engine.host.machine import SYSTEM, read_memory, read_processor
from engine.host.shm import Segment
from engine.host.trial import try_engine
from engine.spec import StreamSpec

T = TypeVar("T")

LIBRARIES = ("numpy", "numba", "pedalboard", "soxr", "pydantic", "yaml")
PACKAGES = ("engine", "dsp", "presets", "benchmarks")

SESSION_BYTES = 8 << 20
"""What control process and engine share at least, sounds aside; a session's segment is a little smaller."""

PORTAUDIO_TIMEOUT_S = 10.0
CAP_IPC_LOCK = 14

STEPS = ("libraries", "devices", "audio servers", "the rest")

Progress = Callable[[str, int, int], None]
"""Called as (what is looked at, steps done, steps in all)."""


def look(rate_hz: int = 48_000, progress: Progress = lambda *_: None) -> list[Finding]:
    """Return what was found at every point; playing at `rate_hz` is impossible if any has `failed`.

    Takes a second or two, and a minute at most where an audio server and a library hang. Raises InputError for an
    unusual rate.
    """
    spec = StreamSpec(rate_hz)
    findings = []
    for done, (step, points) in enumerate(zip(STEPS, _points(spec), strict=True)):
        progress(step, done, len(STEPS))
        findings += points()
    return findings


def _points(spec: StreamSpec) -> Iterator[Callable[[], list[Finding]]]:
    yield lambda: _machine(spec)
    yield lambda: _devices(spec.rate_hz)
    yield _servers
    yield lambda: [_midi(), *_disks(spec.rate_hz)]


def _midi() -> Finding:
    try:
        return check_midi(list_ports())
    except HostError as error:
        return check_midi(str(error))


def _machine(spec: StreamSpec) -> list[Finding]:
    trial = try_engine(LIBRARIES, spec.quantum_s / 4)
    processor = read_processor()
    locked = bool(getattr(sys, "_is_gil_enabled", lambda: True)())
    return [
        installation.check_python(
            tuple(sys.version_info[:3]), sys.implementation.name.replace("cp", "CP"), locked
        ),
        installation.check_libraries(trial),
        installation.check_places(_places(), _installed(), Path.cwd()),
        *([] if trial.failure else [_cache()]),
        machine_checks.check_processors(processor),
        machine_checks.check_governor(processor),
        machine_checks.check_priority(trial),
        machine_checks.check_locked_memory(trial, _may_lock()),
        machine_checks.check_memory(read_memory()),
        machine_checks.check_shared_memory(*_shared_memory()),
        machine_checks.check_naps(trial.lateness_us, spec.quantum_s),
    ]


def _cache() -> Finding:
    from dsp.kernel_cache import look as look_at_cache

    return installation.check_cache(look_at_cache([_places()[name][0] / name for name in ("dsp", "engine")]))


def _devices(rate_hz: int) -> list[Finding]:
    try:
        found = ask_portaudio(PORTAUDIO_TIMEOUT_S, rate_hz)
    except HostError as error:
        return [device_checks.check_portaudio(str(error))]
    return [
        device_checks.check_portaudio(found),
        device_checks.check_output(found),
        device_checks.check_rate(found, rate_hz),
    ]


def _servers() -> list[Finding]:
    return [
        device_checks.check_jack(_or_why_not(ask_jack)),
        device_checks.check_pipewire(_or_why_not(ask_pipewire)),
    ]


def _or_why_not(question: Callable[[], T]) -> T | str:
    try:
        return question()
    except TimeoutError:
        return "a server is there and does not answer"


def _disks(rate_hz: int) -> list[Finding]:
    from dsp.jit import cache_root

    log, current = default_log().parent, Path.cwd()
    return [
        installation.check_disk("cache", cache_root(), *_room(cache_root()), installation.LEAST_CACHE_BYTES),
        installation.check_disk("log", log, *_room(log), installation.LEAST_LOG_BYTES),
        installation.check_recordings(current, *_room(current), rate_hz),
    ]


def _room(folder: Path) -> tuple[int | None, bool]:
    """Return how much is free where `folder` is or would be made, and whether it can be written there."""
    there = next((part for part in (folder, *folder.parents) if part.exists()), folder)
    try:
        free_bytes = shutil.disk_usage(there).free
    except OSError:
        return None, False
    return free_bytes, os.access(there, os.W_OK | os.X_OK)


def _shared_memory() -> tuple[str, int | None]:
    try:
        Segment.create(SESSION_BYTES).close()
    except HostError as error:
        return str(error), None
    with suppress(OSError):
        return "", shutil.disk_usage("/dev/shm").free
    return "", None


def _may_lock() -> bool:
    """Say whether this process may lock memory beyond its limit (CAP_IPC_LOCK)."""
    with suppress(OSError):
        found = re.search(r"(?m)^CapEff:\s*([0-9a-f]+)", (SYSTEM / "proc/self/status").read_text())
        return found is not None and bool(int(found[1], 16) >> CAP_IPC_LOCK & 1)
    return False


def _places() -> dict[str, list[Path]]:
    """Return the folders in which each of our packages is found; importing none of them."""
    places = {}
    for name in PACKAGES:
        spec = util.find_spec(name)
        inside = (spec.submodule_search_locations if spec else None) or []
        places[name] = [Path(folder).parent for folder in inside]
    return places


def _installed() -> Path | None:
    """Return the folder that the installation has its packages in, None if there is no installation."""
    import json

    try:
        distribution = metadata.distribution("roomtone")
    except metadata.PackageNotFoundError:
        return None
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        return Path(unquote(urlparse(origin["url"]).path))
    return Path(str(distribution.locate_file("")))
