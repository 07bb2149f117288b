"""Shared-memory segments: made and removed by the control process, attached by the engine process.

The creating process registers a segment with Python's resource tracker, which removes it even if that process is
killed. The attaching process must not: before Python 3.13 (bpo-38119) attaching registers as well, and the first
process to end would then remove the segment under the feet of the other.
"""

import contextlib
import os
import secrets
import sys
import threading
from collections.abc import Iterator
from multiprocessing import resource_tracker, shared_memory
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.errors import HostError

T = TypeVar("T", bound=np.generic)

ALIGNMENT_BYTES = 64
"""Where arrays in a segment begin: a cache line, and the widest vector load."""

_MEMORY_FOLDER = "/dev/shm"
_patching = threading.Lock()


class _Mapping(shared_memory.SharedMemory):
    """A mapping that lives on quietly while arrays still look into it."""

    unmapped = False

    def close(self) -> None:
        with contextlib.suppress(BufferError):
            super().close()
            self.unmapped = True


class Segment:
    """One shared-memory segment; a context manager that closes it, and removes it if it was made here."""

    def __init__(self, mapping: _Mapping, owned: bool) -> None:
        self._mapping = mapping
        self._owned = owned
        self.name = mapping.name
        self.size_bytes = mapping.size

    @classmethod
    def create(cls, size_bytes: int) -> "Segment":
        """Make a zeroed segment of at least `size_bytes`; raises HostError where the machine has no room for it."""
        try:
            mapping = _Mapping(_fresh_name(), create=True, size=max(1, size_bytes))
        except OSError as error:
            raise HostError(_no_room(size_bytes, error)) from error
        segment = cls(mapping, owned=True)
        try:
            _reserve(mapping.name, mapping.size)
        except BaseException as error:  # an interrupt as well: nobody else could remove it
            segment.close()
            if isinstance(error, OSError):
                raise HostError(_no_room(size_bytes, error)) from error
            raise
        return segment

    @classmethod
    def attach(cls, name: str) -> "Segment":
        """Open the segment `name`, which stays the property of the process that made it."""
        try:
            if sys.version_info >= (3, 13):
                mapping = _Mapping(name, track=False)
            else:
                with _untracked():
                    mapping = _Mapping(name)
        except OSError as error:
            raise HostError(f"the shared memory {name} is gone: {error.strerror or error}") from error
        return cls(mapping, owned=False)

    def view(self, kind: type[T], count: int, offset_bytes: int = 0) -> NDArray[T]:
        """Return `count` values of type `kind` from `offset_bytes` on, as an array into the segment."""
        memory = self._mapping.buf
        if memory is None:
            raise ValueError("the segment is closed")
        return np.frombuffer(memory, kind, count, offset_bytes)

    def close(self) -> bool:
        """Let go of the segment, and remove its name if it was made here. Arrays into it stay valid.

        Returns whether it is unmapped: not while there are such arrays; `close` may then be called again.
        """
        if self._owned:
            self._owned = False
            with contextlib.suppress(FileNotFoundError):
                self._mapping.unlink()
        self._mapping.close()
        return self._mapping.unmapped

    def __enter__(self) -> "Segment":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _fresh_name() -> str:
    """Return a name that tells whose segment it is; macOS allows 31 characters."""
    return f"roomtone-{os.getpid()}-{secrets.token_hex(4)}"


def aligned(offset_bytes: int) -> int:
    """Return the first place from `offset_bytes` on where an array may begin."""
    return -(-offset_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def _reserve(name: str, size_bytes: int) -> None:
    """Have the pages allocated now: writing to one that cannot be is a SIGBUS, not an exception."""
    if not (hasattr(os, "posix_fallocate") and os.path.isdir(_MEMORY_FOLDER)):
        return
    file = os.open(os.path.join(_MEMORY_FOLDER, name), os.O_RDWR)
    try:
        os.posix_fallocate(file, 0, size_bytes)
    finally:
        os.close(file)


def _no_room(size_bytes: int, error: OSError) -> str:
    return (
        f"no room for {max(1, size_bytes >> 20)} MiB of shared memory ({error.strerror or error}): "
        f"see `df -h {_MEMORY_FOLDER}`; free some or make it larger "
        f"(`mount -o remount,size=2G {_MEMORY_FOLDER}`, or `docker run --shm-size=2g`)"
    )


@contextlib.contextmanager
def _untracked() -> Iterator[None]:
    tracker: Any = resource_tracker
    with _patching:
        register = tracker.register
        tracker.register = lambda *_: None
        try:
            yield
        finally:
            tracker.register = register
