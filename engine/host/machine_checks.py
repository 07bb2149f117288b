"""Is the machine fit to play: what its processors, its memory and its clock grant. From given facts, without asking."""

import math
from collections.abc import Sequence

from engine.finding import Finding
from engine.host.machine import Memory, Processor
from engine.host.priority import MEMORY_LINE, PRIORITY, PRIORITY_LINE
from engine.host.trial import Trial

LOG_IN_AGAIN = (
    "to /etc/security/limits.conf, yourself to the group (`sudo usermod -aG audio $USER`), and log in again"
)
SET_GOVERNOR = (
    "until the next start of the machine: "
    "`echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor`"
)
LARGER_SHM = (
    "free some, or make it larger (`mount -o remount,size=2G /dev/shm`, or `docker run --shm-size=2g`)"
)

LEAST_MEMORY_BYTES = 3 << 29
"""1.5 GiB: a control process, an engine and its spare with the built-in scene take 1.2."""

LEAST_LIMIT_BYTES = 1 << 30
"""What an engine may have to lock: 0.6 GiB with the built-in scene."""

LEAST_SHARED_BYTES = 256 << 20
"""The sounds of a scene are there: 73 MiB of them in the built-in one."""

MOST_PRESSURE_PERCENT = 1.0


def check_processors(processor: Processor) -> Finding:
    """Engine, control process and audio server run at the same time."""
    of = f" of {processor.present}" if processor.count < processor.present else ""
    many = "processor" if processor.count == 1 and not of else "processors"
    text = f"{processor.count}{of} {many} ({processor.model})"
    if processor.count > 1:
        return Finding("processors", "ok", text)
    text += ", which engine, control process and audio server share"
    return Finding(
        "processors", "warning", text, "use a machine with two, or play with `--safety 8 --no-spare`"
    )


def check_governor(processor: Processor) -> Finding:
    """A processor that rests between quanta is slow when the next one begins."""
    name = "frequency governor"
    if not processor.governors:
        where = " in a virtual machine" if processor.virtual else ": this system does not tell"
        return Finding(name, "ok", f"unknown{where}")
    text = ", ".join(processor.governors)
    if processor.governors == ("performance",):
        return Finding(name, "ok", text)
    return Finding(name, "warning", f"{text}, which slows the processors down between quanta", SET_GOVERNOR)


def check_priority(trial: Trial) -> Finding:
    """Ordinary threads wait for others."""
    name = "real-time priority"
    if trial.priority:
        return Finding(name, "ok", f"granted (SCHED_FIFO {PRIORITY})")
    limit = trial.priority_limit
    known = "" if limit is None else f" (the limit is {limit}, {PRIORITY} is needed)"
    text = f"refused{known}: under-runs are likelier on a busy machine"
    return Finding(name, "warning", text, f"add the line {PRIORITY_LINE} {LOG_IN_AGAIN}")


def check_locked_memory(trial: Trial, privileged: bool) -> Finding:
    """What is swapped out is late; a limit binds whoever is not privileged."""
    name = "locked memory"
    limit = trial.memory_limit_bytes
    small = limit is not None and limit < LEAST_LIMIT_BYTES and not privileged
    if trial.locked_memory and not small:
        return Finding(name, "ok", "granted")
    known = "" if limit is None else f" (the limit is {_size(limit)})"
    text = f"{'granted, but not for a large scene' if trial.locked_memory else 'refused'}{known}"
    return Finding(name, "warning", text, f"add the line {MEMORY_LINE} {LOG_IN_AGAIN}")


def check_memory(memory: Memory | None) -> Finding:
    """Where memory is short, the system takes away what it needs again in the next quantum."""
    name = "memory"
    if memory is None:
        return Finding(name, "ok", "unknown: this system does not tell")
    text = f"{_size(memory.available_bytes)} of {_size(memory.total_bytes)} available"
    text += (
        f", {_size(memory.swapped_bytes)} swapped out" if memory.swapped_bytes else ", nothing swapped out"
    )
    waits = memory.pressure_percent or 0.0
    if memory.available_bytes < LEAST_MEMORY_BYTES:
        return Finding(name, "warning", text, "close other programs; `play --no-spare` takes less")
    if waits >= MOST_PRESSURE_PERCENT:
        text += f"; programs waited for it for {waits:.0f} % of the last minute"
        return Finding(name, "warning", text, "close what takes the most of it (see `top -o %MEM`)")
    return Finding(name, "ok", text)


def check_shared_memory(refusal: str, free_bytes: int | None) -> Finding:
    """Control process and engine meet there. `refusal` is why a session's segment cannot be had, or ""."""
    name = "shared memory"
    if refusal:
        what, _, remedy = refusal.partition("; ")
        return Finding(name, "failed", what, remedy or LARGER_SHM)
    if free_bytes is None:
        return Finding(name, "ok", "can be had; its size is unknown")
    text = f"{_size(free_bytes)} free"
    if free_bytes < LEAST_SHARED_BYTES:
        text += ", which is not enough for the sounds of a large scene"
        return Finding(name, "warning", text, LARGER_SHM)
    return Finding(name, "ok", text)


def check_naps(lateness_us: Sequence[float], quantum_s: float) -> Finding:
    """The DSP loop naps for a quarter of a quantum; one that comes back half a quantum late has half the time."""
    name = "wake-up"
    if not lateness_us:
        return Finding(name, "warning", "not measured", "see the points that failed")
    ordered = sorted(lateness_us)
    p99_us = ordered[math.ceil(0.99 * len(ordered)) - 1]
    text = (
        f"of {len(ordered)} naps of {250.0 * quantum_s:.2f} ms, half are up to {_ms(ordered[len(ordered) // 2])} late, "
        f"99 % up to {_ms(p99_us)}, the worst {_ms(ordered[-1])}"
    )
    if p99_us <= 0.5e6 * quantum_s:
        return Finding(name, "ok", text)
    text += f"; half a quantum is {500.0 * quantum_s:.2f} ms"
    return Finding(
        *(name, "warning", text),
        "close other programs, see to real-time priority and governor, or play with `--safety 4` or `--adapt`",
    )


def _ms(us: float) -> str:
    return f"{us / 1e3:.2f} ms"


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 1 << 30 else f"{count / 2**20:.0f} MiB"
