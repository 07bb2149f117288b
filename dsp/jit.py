"""The one way a numba kernel is made in this project.

`@kernel(signature)` compiles at import for exactly one signature (or loads the machine code from the cache) and
forbids any later compile, so a float64 or strided buffer is a TypeError and never a stall on the audio thread.
`@device` marks a helper that kernels call and that is compiled into them.

The cache lives in the user's cache folder, owned by the user only (numba's cache is pickled: whoever can write to
it can run code here), under a name made from the kernels' sources, the versions and the CPU, because numba
itself only watches the file that defines a kernel. A cache that cannot be read is set aside and made anew.
Of programs that want the same kernel at the same time one compiles it, and the others wait for it.
"""

import contextlib
import hashlib
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite.binding
import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

CompileListener = Callable[[str, bool], None]
"""Called as (kernel name, finished); finished is False just before a kernel is compiled or loaded."""

_listener: CompileListener | None = None
_compiled = 0

LONGEST_WAIT_S = 60.0
"""How long a kernel that another program compiles is waited for; then it is compiled here as well."""
WAIT_S = 0.02


def on_compile(listener: CompileListener | None) -> None:
    """Have `listener` told of every kernel that is compiled or loaded from now on (for a progress line)."""
    global _listener
    _listener = listener


def compiled_kernels() -> int:
    """Return how many kernels this process had to compile, because they were not in the cache."""
    return _compiled


def cache_root() -> Path:
    """Return the folder that holds roomtone's caches (`XDG_CACHE_HOME` or the platform's own place)."""
    from platformdirs import user_cache_path

    return user_cache_path("roomtone", appauthor=False)


def _make_fingerprint() -> str:
    digest = hashlib.sha256()
    for part in (
        numba.__version__,
        llvmlite.__version__,
        np.__version__,
        sys.version,
        platform.machine(),
        llvmlite.binding.get_host_cpu_name(),
        os.environ.get("NUMBA_BOUNDSCHECK", ""),
        os.environ.get("NUMBA_CPU_NAME", ""),
    ):
        digest.update(part.encode())
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def fingerprint() -> str:
    """Return 16 hex digits that change with whatever may change the machine code, and so a bit of the sound."""
    return _fingerprint


_fingerprint = _make_fingerprint()


def _prepare_cache() -> bool:
    if os.environ.get("NUMBA_CACHE_DIR"):
        return True
    folder = cache_root() / f"kernels-{_fingerprint}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        numba.config.CACHE_DIR = str(folder)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


_cached = _prepare_cache()


def cached() -> bool:
    """Whether compiled kernels are kept for the next start."""
    return _cached


def _set_cache_aside() -> None:
    global _cached
    folder = Path(numba.config.CACHE_DIR)
    with contextlib.suppress(OSError):
        folder.rename(folder.with_name(f"{folder.name}.bad-{os.getpid()}"))
    _cached = _prepare_cache()


@contextlib.contextmanager
def _alone(name: str) -> Iterator[None]:
    """Keep other programs from compiling kernel `name` at the same time, where the system can do that."""
    try:
        import fcntl

        lock = os.open(Path(numba.config.CACHE_DIR) / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except (ImportError, OSError):
        yield
        return
    try:
        until_s = time.monotonic() + LONGEST_WAIT_S
        while time.monotonic() < until_s:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(WAIT_S)
            except OSError:  # a file system without locks
                break
        yield
    finally:
        os.close(lock)


def _compile(func: Callable[..., Any], signature: str, cache: bool) -> Any:
    dispatcher = numba.njit(nogil=True, error_model="numpy", cache=cache)(func)
    with _alone(f"{func.__module__}.{func.__name__}") if cache else contextlib.nullcontext():
        dispatcher.compile(signature)
    dispatcher.disable_compile()
    global _compiled
    _compiled += not dispatcher.stats.cache_hits
    return dispatcher


def _was_interrupt(error: BaseException | None) -> bool:
    """Whether an interrupt is what a library made this error of."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _compile_again(func: Callable[..., Any], signature: str) -> Any:
    """Try once more, since all other programs would have to compile anew; then with a new cache, then without."""
    with contextlib.suppress(Exception):
        return _compile(func, signature, True)
    _set_cache_aside()
    try:
        return _compile(func, signature, _cached)
    except Exception:
        return _compile(func, signature, False)


def kernel(signature: str) -> Callable[[F], F]:
    """Compile the decorated function now, for `signature` alone (`"void(float32[:, ::1], int64)"`)."""

    def decorate(func: F) -> F:
        if numba.config.DISABLE_JIT:
            return func
        name = f"{func.__module__}.{func.__name__}"
        # What was typed in has no file whose changes numba could watch.
        cached = _cached and os.path.isfile(func.__code__.co_filename)
        if _listener:
            _listener(name, False)
        try:
            compiled = _compile(func, signature, cached)
        except (numba.errors.NumbaError, SyntaxError, TypeError):
            raise
        except Exception as error:  # an unreadable cache raises whatever its damaged bytes happen to mean
            if _was_interrupt(error):
                raise KeyboardInterrupt from error
            if not cached:
                raise
            compiled = _compile_again(func, signature)
        if _listener:
            _listener(name, True)
        return cast("F", compiled)

    return decorate


def device(func: F) -> F:
    """Mark a helper that is only called from kernels; it is compiled together with each of them."""
    return cast("F", numba.njit(nogil=True, error_model="numpy")(func))
