"""MIDI in and out, as the show sees it: what comes in, from ports that may come and go, on one thread.

The ports are held by a process of their own (`port_process`), which is replaced when it hangs or crashes.
"""

import contextlib
import json
import os
import pickle
import select
import selectors
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any

from engine.control.incidents import reason
from engine.control.midi.apis import read_api
from engine.control.midi.port_process import LEAVE_S, SERVER_LOST, PortsWish
from engine.errors import HostError
from engine.host.ask import ask
from engine.host.child import python_command, python_environment
from engine.host.framing import Decoder, framed

TICK_S = 1 / 40
"""How long `on_flush` waits at most."""

FIRST_S = 8.0
"""How long the ports may take to be found at first."""

SILENCE_S = 5.0
"""A process that says nothing for so long, or ten looks at the ports, hangs."""

BACKOFF_S = 4.0
"""How long it may take, at most, until a process that ended is replaced."""

LIST_S = 5.0
JOIN_S = 2.0
REAP_S = 0.5

_MODULE = "engine.control.midi.port_process"
_ATOMIC_BYTES = select.PIPE_BUF
"""What is not longer is written to a pipe whole or not at all."""


@dataclass(slots=True)
class MidiCounters:
    """What has happened so far: messages by port, those left out because too many waited, those nobody took.

    `restarts` counts the processes that had to be replaced.
    """

    messages: dict[str, int] = field(default_factory=dict)
    thinned: dict[str, int] = field(default_factory=dict)
    unsent: int = 0
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class MidiListing:
    """The ports there are, by the names that wishes take; `problem` says why there is no MIDI, else it is ""."""

    api: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    problem: str = ""


def list_ports(api: str = "auto") -> MidiListing:
    """Return the MIDI ports; raises InputError for an unknown `api`, HostError if the system does not answer."""
    command = [*python_command(_MODULE), "list", read_api(api)]
    try:
        answer = ask(command, LIST_S, python_environment())
        told = json.loads(answer.output.splitlines()[-1])
    except TimeoutError:
        raise HostError("MIDI does not answer: restart the audio server") from None
    except (IndexError, ValueError):
        raise HostError(f"MIDI cannot be asked: {answer.last_words or f'exit code {answer.code}'}") from None
    return MidiListing(told["api"], tuple(told["inputs"]), tuple(told["outputs"]), told["problem"])


def _nothing(*_: Any) -> None:
    pass


class MidiPorts:
    """Opens MIDI inputs, again whenever they come back, and passes on what they send. A context manager.

    `name` is part of the names of the ports that are meant (all its words must be in it; None: every port, but none
    whose output is its input); `virtual` makes a port that other programs connect to. `api` is one of
    `engine.control.midi.apis.Api`; ports are looked at every `poll_s`.

    Everything is called on one thread: `on_message` with port, bytes of one message and when it came (monotonic
    seconds), `on_flush` after each batch of messages and at least 30 times a second, `on_appeared` and `on_gone` with
    a port, `on_notice` with a line for the user. What they raise is told as a notice, once for each kind.
    """

    def __init__(
        self,
        on_message: Callable[[str, bytes, float], object],
        on_flush: Callable[[], object] = _nothing,
        *,
        name: str | None = None,
        virtual: bool = False,
        api: str = "auto",
        poll_s: float = 0.5,
        on_appeared: Callable[[str], object] = _nothing,
        on_gone: Callable[[str], object] = _nothing,
        on_notice: Callable[[str], object] = _nothing,
    ) -> None:
        # set once
        self._wish = PortsWish(read_api(api), name, virtual, poll_s)
        self._on_message, self._on_flush = on_message, on_flush
        self._on_appeared, self._on_gone, self._on_notice = on_appeared, on_gone, on_notice
        self._thread = threading.Thread(target=self._work, name="midi", daemon=True)
        # worker only
        self._told: set[str] = set()
        self._last_notice = ""
        self._flushed_s = 0.0
        self._thinned_before: Counter[str] = Counter()
        self._thinned: Counter[str] = Counter()
        self._unsent_before = self._unsent = 0
        # shared
        self.counters = MidiCounters()
        self._unsent_here = 0
        self._ports: tuple[str, ...] = ()
        self._leaving = threading.Event()
        self._known = threading.Event()
        self._problem = ""
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def ports(self) -> tuple[str, ...]:
        """The inputs that are open now."""
        return self._ports

    @property
    def process_id(self) -> int | None:
        """The process that holds the ports; None while there is none."""
        child = self._child
        return child.pid if child is not None else None

    def start(self) -> "MidiPorts":
        """Begin; without `name` and `virtual` also where there is no MIDI yet.

        Raises HostError if what was asked for is not there, with what is.
        """
        if self._thread.ident is None:
            self._thread.start()
        if not self._known.wait(FIRST_S):
            self._problem = "MIDI does not answer: restart the audio server"
        if self._problem and not self._ports and (self._wish.name is not None or self._wish.virtual):
            self.close()
            raise HostError(self._problem)
        return self

    def send(self, port: str, data: bytes) -> bool:
        """Send a message to the output of the device whose input is `port`; never waits, from any thread.

        False, counted in `counters.unsent`, if it is surely lost; one that has no output is counted later.
        """
        body = framed(pickle.dumps((port, data), pickle.HIGHEST_PROTOCOL))
        if len(body) <= _ATOMIC_BYTES:
            with self._lock, contextlib.suppress(OSError):
                if self._child is not None and self._child.stdin is not None:
                    os.write(self._child.stdin.fileno(), body)
                    return True
        self._unsent_here += 1
        self._count()
        return False

    def close(self) -> None:
        """Close the ports; returns within a few seconds whatever the audio server does."""
        self._leaving.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(JOIN_S + LEAVE_S)
        with self._lock:
            child, self._child = self._child, None
        if child is not None:  # the worker is held up in a handler
            _end(child, 0.0)

    def __enter__(self) -> "MidiPorts":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # worker -------------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        backoff_s = self._wish.poll_s
        while not self._leaving.is_set():
            began_s = time.monotonic()
            with tempfile.TemporaryFile() as log:
                try:
                    child = self._begin(log)
                except OSError as error:
                    how = f"no process for MIDI: {error.strerror}"
                else:
                    how = self._serve(child)
                    with self._lock:
                        self._child = None
                    _end(child, LEAVE_S)
                    if not how and child.returncode != SERVER_LOST:
                        log.seek(max(0, os.fstat(log.fileno()).st_size - 4096))
                        said = log.read().decode(errors="replace").strip().splitlines()[-1:]
                        how = ": ".join(
                            [f"MIDI ended with exit code {child.returncode}, and begins anew", *said]
                        )
            for port in self._ports:
                self._gone(port)
            if self._leaving.is_set():
                return
            self.counters.restarts += 1
            self._thinned_before, self._thinned = self._thinned_before + self._thinned, Counter()
            self._unsent_before, self._unsent = self._unsent_before + self._unsent, 0
            if how:
                self._problem = self._problem or how
                self._notice(how)
            self._known.set()
            lived_s = time.monotonic() - began_s
            backoff_s = self._wish.poll_s if lived_s > BACKOFF_S else min(BACKOFF_S, 2 * backoff_s)
            until_s = time.monotonic() + backoff_s
            while time.monotonic() < until_s and not self._leaving.wait(TICK_S):
                self._flush()

    def _begin(self, log: Any) -> "subprocess.Popen[bytes]":
        child = subprocess.Popen(
            [*python_command(_MODULE), json.dumps(asdict(self._wish))],
            env=python_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is ours to understand
        )
        assert child.stdin is not None
        os.set_blocking(child.stdin.fileno(), False)
        with self._lock:
            self._child = child
        return child

    def _serve(self, child: "subprocess.Popen[bytes]") -> str:
        """Take in what the process sends until it ends; return why it is to be ended, "" if it did by itself."""
        assert child.stdout is not None
        decoder = Decoder()
        silence_s = max(SILENCE_S, 10 * self._wish.poll_s)
        heard_s = time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            while not self._leaving.is_set():
                if selector.select(TICK_S):
                    data = os.read(child.stdout.fileno(), 1 << 16)
                    if not data:
                        return ""
                    for body in decoder.feed(data):
                        for messages, news in pickle.loads(body):
                            self._take(messages)
                            if news is not None:
                                self._hear(*news)
                    heard_s = time.monotonic()
                    self._flush()
                else:
                    now_s = time.monotonic()
                    if now_s - heard_s > silence_s:
                        return "MIDI hangs and begins anew; if that goes on, restart the audio server"
                    if now_s - self._flushed_s >= TICK_S:
                        self._flush()
        return ""

    def _take(self, messages: list[tuple[str, bytes, float]]) -> None:
        counts = self.counters.messages
        for port, data, at_s in messages:
            counts[port] = counts.get(port, 0) + 1
            try:
                self._on_message(port, data, at_s)
            except Exception as error:
                self._fault("message", error)

    def _hear(self, kind: str, *news: Any) -> None:
        match kind, news:
            case "appeared", (port,):
                self._ports = (*self._ports, port)
                self._call("port", self._on_appeared, port)
                self._last_notice = ""
                self._known.set()
            case "gone", (port,):
                self._gone(port)
            case "ports", (api, inputs, _, meant):
                wish = self._wish.name
                if wish is not None and not meant and not self._known.is_set():
                    there = f"there is: {'; '.join(inputs)}" if inputs else f"{api} has none"
                    self._problem = f"there is no MIDI input {wish!r}; {there}"
                if not meant:
                    self._known.set()
            case "none", (text,):
                self._problem = self._problem or text
                self._notice(text)
                self._known.set()
            case "notice", (text,):
                if not self._known.is_set():
                    self._problem = text
                    self._known.set()
                self._notice(text)
            case "alive", (unsent, thinned):
                self._unsent, self._thinned = unsent, Counter(thinned)
                self._count()
            case _:
                pass

    def _count(self) -> None:
        self.counters.unsent = self._unsent_here + self._unsent_before + self._unsent
        self.counters.thinned = dict(self._thinned_before + self._thinned)

    def _gone(self, port: str) -> None:
        self._ports = tuple(p for p in self._ports if p != port)
        self._call("port", self._on_gone, port)

    def _flush(self) -> None:
        self._flushed_s = time.monotonic()
        self._call("flush", self._on_flush)

    def _notice(self, text: str) -> None:
        if text != self._last_notice:
            self._last_notice = text
            with contextlib.suppress(Exception):
                self._on_notice(text)

    def _call(self, what: str, handler: Callable[..., object], *arguments: object) -> None:
        try:
            handler(*arguments)
        except Exception as error:
            self._fault(what, error)

    def _fault(self, what: str, error: Exception) -> None:
        text = f"MIDI {what}: {reason(error)}"
        kind = f"{what} {type(error).__name__}"
        if kind not in self._told:
            self._told.add(kind)
            with contextlib.suppress(Exception):
                self._on_notice(text)


def _end(child: "subprocess.Popen[bytes]", patience_s: float) -> None:
    """End the process: by itself, or by force; one that a driver holds in the kernel is left to a thread."""
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    for wait_s in (patience_s, REAP_S):
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(wait_s)
            return
        child.kill()
    threading.Thread(target=child.wait, name="midi reaper", daemon=True).start()
