"""JACK's ports and their connections, through its own library and always in a child process: a server that hangs
would hang whoever asks it.

    python -m benchmarks.bench.jack_ports                                 all audio ports, as JSON
    python -m benchmarks.bench.jack_ports SOURCE SINK [SOURCE SINK]…      connect; a sink loses what it had
"""

import ctypes
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Any

from engine.errors import HostError
from engine.host.ask import ask
from engine.host.child import python_command, python_environment

LIBRARIES = ("libjack.so.0", "libjack.0.dylib", "libjack64.dll")
TIMEOUT_S = 10.0

NO_START_SERVER = 1
IS_INPUT = 1
IS_OUTPUT = 2
AUDIO = b"32 bit float mono audio"
"""From `jack/types.h`: options of a client, flags and type of a port."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The audio ports of a server by their full names (`client:port`), each client's in the order of its making.

    `period_frames` is how much the server asks for at a time.
    """

    sources: tuple[str, ...]
    sinks: tuple[str, ...]
    period_frames: int

    def since(self, before: "Ports") -> "Ports":
        """Return those that were not there `before`."""
        return Ports(
            tuple(name for name in self.sources if name not in before.sources),
            tuple(name for name in self.sinks if name not in before.sinks),
            self.period_frames,
        )

    def of(self, client: str) -> "Ports":
        """Return those of one client."""
        return Ports(
            tuple(name for name in self.sources if name.startswith(f"{client}:")),
            tuple(name for name in self.sinks if name.startswith(f"{client}:")),
            self.period_frames,
        )

    @property
    def duplex_clients(self) -> tuple[str, ...]:
        """The clients that have both."""
        playing = dict.fromkeys(name.partition(":")[0] for name in self.sources)
        return tuple(client for client in playing if self.of(client).sinks)


def ports() -> Ports:
    """Return all audio ports there are; raises HostError where no JACK server answers."""
    answer = _ask()
    return Ports(tuple(answer["sources"]), tuple(answer["sinks"]), answer["period_frames"])


def connect(sources: Sequence[str], sinks: Sequence[str]) -> None:
    """Connect each of `sources` to the sink at its place, which loses what it had; raises HostError."""
    _ask(*(name for pair in zip(sources, sinks, strict=True) for name in pair))


def _ask(*names: str) -> Any:
    command = [*python_command("benchmarks.bench.jack_ports"), *names]
    try:
        done = ask(command, TIMEOUT_S, python_environment())
    except TimeoutError:
        raise HostError(f"the JACK server did not answer within {TIMEOUT_S:g} s: restart it") from None
    try:
        answer = json.loads(done.output.splitlines()[-1])
    except (IndexError, ValueError):
        raise HostError(f"JACK's library failed (exit {done.code}): {done.last_words}") from None
    if "error" in answer:
        raise HostError(answer["error"])
    return answer


# in the child process -------------------------------------------------------------------------------------------------


def _library() -> Any:
    for name in LIBRARIES:
        try:
            library: Any = ctypes.CDLL(name)
        except OSError:
            continue
        text, client = ctypes.c_char_p, ctypes.c_void_p
        for function, result, arguments in (
            ("jack_client_open", client, (text, ctypes.c_int, ctypes.POINTER(ctypes.c_int))),
            ("jack_client_close", ctypes.c_int, (client,)),
            ("jack_get_buffer_size", ctypes.c_uint32, (client,)),
            ("jack_get_ports", ctypes.POINTER(text), (client, text, text, ctypes.c_ulong)),
            ("jack_port_by_name", ctypes.c_void_p, (client, text)),
            ("jack_port_get_all_connections", ctypes.POINTER(text), (client, ctypes.c_void_p)),
            ("jack_connect", ctypes.c_int, (client, text, text)),
            ("jack_disconnect", ctypes.c_int, (client, text, text)),
            ("jack_free", None, (ctypes.c_void_p,)),
        ):
            getattr(library, function).restype = result
            getattr(library, function).argtypes = arguments
        return library
    raise HostError("JACK's client library (libjack) is not installed")


@contextmanager
def _client(library: Any) -> Iterator[Any]:
    status = ctypes.c_int()
    client = library.jack_client_open(b"roomtone-ports", NO_START_SERVER, ctypes.byref(status))
    if not client:
        raise HostError("no JACK server answers")
    try:
        yield client
    finally:
        library.jack_client_close(client)


def _names(library: Any, listed: Any) -> list[str]:
    """Take over a NULL-terminated list of JACK's, which may be NULL itself."""
    if not listed:
        return []
    names = [name.decode() for name in takewhile(bool, (listed[n] for n in count()))]
    library.jack_free(listed)
    return names


def _answer(names: Sequence[str]) -> dict[str, Any]:
    library = _library()
    with _client(library) as client:
        for source, sink in zip(names[::2], names[1::2], strict=True):
            port = library.jack_port_by_name(client, sink.encode())
            for other in _names(library, library.jack_port_get_all_connections(client, port)) if port else []:
                library.jack_disconnect(client, other.encode(), sink.encode())
            if library.jack_connect(client, source.encode(), sink.encode()):
                raise HostError(f"JACK does not connect {source} to {sink}")
        return {
            "sources": _names(library, library.jack_get_ports(client, None, AUDIO, IS_OUTPUT)),
            "sinks": _names(library, library.jack_get_ports(client, None, AUDIO, IS_INPUT)),
            "period_frames": library.jack_get_buffer_size(client),
        }


def main() -> None:
    """Do what the arguments say, and print what there is."""
    try:
        answer = _answer(sys.argv[1:])
    except (HostError, ValueError) as error:
        answer = {"error": str(error)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
