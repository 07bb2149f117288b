"""An engine's start without the engine: a process that loads what one needs, asks for its rights, and naps as it does.

It is thrown away: real-time priority and locked memory end with it, and a library that this processor cannot run
kills it alone.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module, metadata

from engine.host import priority
from engine.host.ask import ask
from engine.host.child import python_command, python_environment

TIMEOUT_S = 30.0
NAPS = 200


@dataclass(frozen=True, slots=True)
class Trial:
    """What a process like the engine gets here.

    `versions` of the libraries that could be loaded, and `failure`, why one could not. Whether it is granted real-time
    `priority` and `locked_memory`; the limits it has for them (None: unlimited or unknown). `lateness_us`: by how much
    each of its naps was too long, in their order; perhaps none.
    """

    versions: dict[str, str] = field(default_factory=dict)
    failure: str = ""
    priority: bool = False
    locked_memory: bool = False
    priority_limit: int | None = None
    memory_limit_bytes: int | None = None
    lateness_us: tuple[float, ...] = ()


def try_engine(modules: Sequence[str], nap_s: float, timeout_s: float = TIMEOUT_S) -> Trial:
    """Start such a process, which imports `modules` and naps `NAPS` times for `nap_s`; never raises, never hangs."""
    command = [*python_command("engine.host.trial"), repr(nap_s), *modules]
    try:
        answer = ask(command, timeout_s, python_environment())
    except (OSError, TimeoutError) as error:
        late = isinstance(error, TimeoutError)
        return Trial(
            failure=f"no answer within {timeout_s:g} s" if late else f"no process ({error.strerror})"
        )
    lines = answer.output.splitlines()
    try:
        told = json.loads(lines[-1])
        return Trial(**{**told, "lateness_us": tuple(told["lateness_us"])})
    except (IndexError, ValueError, TypeError, KeyError):
        doing = f" {lines[-1]}" if lines else ""
        how = f"signal {-answer.code}" if answer.code < 0 else f"exit {answer.code}: {answer.last_words}"
        return Trial(failure=f"the process ended{doing} ({how})")


def _run(nap_s: float, modules: Sequence[str]) -> Trial:
    versions: dict[str, str] = {}
    for module in modules:
        print(f"loading {module}", flush=True)  # the last words, should it kill this process
        try:
            import_module(module)
        except Exception as error:
            return Trial(versions, f"{module} cannot be loaded ({type(error).__name__}: {error})")
        versions[module] = _version(module)
    print("asking for its rights", flush=True)
    granted = priority.request_priority(0, priority.PRIORITY)
    locked = priority.lock_memory()
    priority.settle()
    return Trial(
        versions, "", granted, locked, _limit("RLIMIT_RTPRIO"), _limit("RLIMIT_MEMLOCK"), _naps(nap_s)
    )


def _naps(nap_s: float) -> tuple[float, ...]:
    lateness_us = []
    for _ in range(NAPS):
        began_s = time.perf_counter()
        time.sleep(nap_s)
        lateness_us.append(1e6 * (time.perf_counter() - began_s - nap_s))
    return tuple(lateness_us)


def _version(module: str) -> str:
    names = {"yaml": "PyYAML"}
    try:
        return metadata.version(names.get(module, module))
    except metadata.PackageNotFoundError:
        return "of unknown version"


def _limit(name: str) -> int | None:
    try:
        import resource
    except ImportError:
        return None
    number = getattr(resource, name, None)
    if number is None:
        return None
    limit = resource.getrlimit(number)[0]
    return None if limit == resource.RLIM_INFINITY else limit


if __name__ == "__main__":
    trial = _run(float(sys.argv[1]), sys.argv[2:])
    sys.stdout.write(f"{json.dumps(asdict(trial))}\n")
