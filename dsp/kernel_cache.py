"""The cache of compiled kernels as it is on the disk, without loading any of it.

numba keeps one index file a function, `MODULE.FUNCTION-LINE.pyXY.nbi`, in a folder named after the source's folder and
the SHA-1 of that folder's path (`numba.core.caching`).
"""

import hashlib
import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numba

from dsp import jit

_KERNEL = re.compile(r"^[ \t]*@kernel\(.*?^[ \t]*def (\w+)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class CacheState:
    """What is in the cache of this build.

    `folder` is None where there can be none; `mode` are its permission bits, with those of its parent for others who
    could put another in its place; `owned` says whether it belongs to this user.
    `compiled` of the `kernels` there are need not be compiled any more; the folder takes `size_bytes`.
    """

    folder: Path | None
    writable: bool
    owned: bool
    mode: int
    kernels: int
    compiled: int
    size_bytes: int


def look(packages: Sequence[Path]) -> CacheState:
    """Return the state of the cache for the kernels in the folders `packages`."""
    indices = list(_indices(packages))
    folder = Path(numba.config.CACHE_DIR) if numba.config.CACHE_DIR else None
    if folder is None or not folder.is_dir():
        return CacheState(folder if jit.cached() else None, False, True, 0, len(indices), 0, 0)
    status = folder.stat()
    return CacheState(
        folder=folder,
        writable=os.access(folder, os.W_OK | os.X_OK),
        owned=not hasattr(os, "getuid") or status.st_uid == os.getuid(),
        mode=stat.S_IMODE(status.st_mode) | _others(folder.parent),
        kernels=len(indices),
        compiled=sum((folder / index).is_file() for index in indices),
        size_bytes=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
    )


def _others(folder: Path) -> int:
    """Return the bits that let others take away what is in `folder`; in one like /tmp they cannot."""
    mode = folder.stat().st_mode
    return 0 if mode & stat.S_ISVTX else mode & 0o022


def _indices(packages: Sequence[Path]) -> Iterator[Path]:
    suffix = f"py{sys.version_info[0]}{sys.version_info[1]}{getattr(sys, 'abiflags', '')}.nbi"
    for package in packages:
        for source in sorted(Path(os.path.abspath(package)).rglob("*.py")):
            folder = str(source.parent)
            place = f"{source.parent.name}_{hashlib.sha1(folder.encode(), usedforsecurity=False).hexdigest()}"
            text = source.read_text("utf-8")
            for found in _KERNEL.finditer(text):
                line = text.count("\n", 0, found.start()) + 1
                yield Path(place, f"{source.stem}.{found[1]}-{line}.{suffix}")
