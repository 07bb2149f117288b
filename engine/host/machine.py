"""What the machine is, as far as the system tells: read from /proc and /sys, so nothing on other systems."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

SYSTEM = Path("/")


@dataclass(frozen=True, slots=True)
class Processor:
    """`count` processors may be used of the `present` ones.

    `governors` are what sets their frequencies (each once, sorted; empty where there is none to see), `virtual` says
    whether a hypervisor is known to lie below.
    """

    model: str
    count: int
    present: int
    governors: tuple[str, ...]
    virtual: bool


@dataclass(frozen=True, slots=True)
class Memory:
    """In bytes. `pressure_percent`: how long something waited for memory in the last minute (None: unknown)."""

    total_bytes: int
    available_bytes: int
    swapped_bytes: int
    pressure_percent: float | None


def read_processor(system: Path = SYSTEM) -> Processor:
    """Return what the processors are; `system` is the root of /proc and /sys."""
    told = _read(system / "proc/cpuinfo")
    present = os.cpu_count() or 1
    affinity = getattr(os, "sched_getaffinity", None)
    pattern = "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor"
    governors = {_read(path).strip() for path in system.glob(pattern)}
    return Processor(
        model=_model(told),
        count=len(affinity(0)) if affinity else present,
        present=present,
        governors=tuple(sorted(governors - {""})),
        virtual=_is_virtual(told, system),
    )


def read_memory(system: Path = SYSTEM) -> Memory | None:
    """Return the state of the memory; None where the system does not tell."""
    rows = re.findall(r"(?m)^(\w+):\s+(\d+) kB", _read(system / "proc/meminfo"))
    kib = {name: int(value) for name, value in rows}
    if "MemTotal" not in kib or "MemAvailable" not in kib:
        return None
    pressure = re.search(r"(?m)^some .*avg60=([\d.]+)", _read(system / "proc/pressure/memory"))
    return Memory(
        total_bytes=kib["MemTotal"] << 10,
        available_bytes=kib["MemAvailable"] << 10,
        swapped_bytes=(kib.get("SwapTotal", 0) - kib.get("SwapFree", 0)) << 10,
        pressure_percent=float(pressure[1]) if pressure else None,
    )


def _model(cpuinfo: str) -> str:
    """Return the processor's name; ARM kernels give numbers instead, which are better than nothing."""
    for pattern in (r"(?m)^model name\s*:\s*(.+)$", r"(?m)^Model\s*:\s*(.+)$", r"(?m)^CPU part\s*:\s*(.+)$"):
        if found := re.search(pattern, cpuinfo):
            return " ".join(found[1].split())
    import platform

    return platform.processor() or platform.machine()


def _is_virtual(cpuinfo: str, system: Path) -> bool:
    if re.search(r"(?m)^flags\s*:.*\bhypervisor\b", cpuinfo) or (system / "sys/hypervisor/type").exists():
        return True
    vendor = _read(system / "sys/class/dmi/id/sys_vendor") + _read(system / "sys/class/dmi/id/product_name")
    return any(name in vendor for name in ("QEMU", "KVM", "VMware", "VirtualBox", "Xen", "Virtual Machine"))


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""
