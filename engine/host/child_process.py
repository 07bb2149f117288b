"""One engine process as its parent sees it: its messages, its life and its end."""

import contextlib
import os
import queue
import selectors
import subprocess
import tempfile
import threading
import time
from typing import TypeVar

from engine.errors import HostError, NoAnswer
from engine.host.child import python_command, python_environment
from engine.host.framing import Decoder, write_all
from engine.host.protocol import Open, decode, encode
from engine.messages import Built, Failed, Preload, Quit, Ready, Refused, Started, ToControl, ToEngine

M = TypeVar("M")

TERMINATE_S = 1.0
KILL_S = 1.0
"""How long each way of ending an engine is given before the next, harder one."""

REAP_S = 0.2
"""How long a killed process is waited for; one that a driver holds in the kernel is left to a thread."""

WATCH_S = 0.25
"""How often it is looked whether the process lives while its pipe is still open: a child of its own may hold that."""

LOG_BYTES = 4096
LAST_LINES = 3
"""Of what a dead engine wrote to stderr, for the message that tells of it."""


class ChildProcess:
    """An engine process, with a thread for each direction of its pipes.

    A `spare` one gets ready in the background. Raises OSError where no process can be started.

    Attributes, for other threads to read: `ready` once what `Preload` named is imported, `started_s` when it began to
    play (monotonic), `built` and `refused`, the numbers of swaps, `sent`, how many messages a session's engine has had.
    """

    def __init__(self, *, verbose: bool, spare: bool = False) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the process has been reaped
        command = python_command("engine.host")
        self.process = subprocess.Popen(
            [*command, "--spare"] if spare else command,
            env=python_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if verbose else self._log,
            bufsize=0,
        )
        # written by the reading thread
        self.ready = False
        self.started_s: float | None = None
        self.built = 0
        self.refused: frozenset[int] = frozenset()
        self._dead = False
        # shared
        self.sent = 0
        self._sending = threading.Lock()
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._incoming: list[ToControl] = []
        self._arrived = threading.Condition()
        self._threads = [
            threading.Thread(target=target, name=f"engine {target.__name__.strip('_')}", daemon=True)
            for target in (self._write, self._read)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self.process.poll() is None

    def send(self, message: Open | Preload | ToEngine) -> None:
        """Send any message; never blocks. To a process that has ended it is lost."""
        data = encode(message)
        with self._sending:
            if not isinstance(message, Open | Preload):
                self.sent += 1
            self._outgoing.put(data)

    def deliver(self, message: ToControl) -> None:
        """Have `message` be taken as if it came from the process."""
        with self._arrived:
            self._incoming.append(message)
            self._arrived.notify_all()

    def take_all(self) -> list[ToControl]:
        """Return what has come in since the last call."""
        with self._arrived:
            messages, self._incoming = self._incoming, []
        return messages

    def take(self, kind: type[M], timeout_s: float) -> M:
        """Return the next message of `kind`; raises HostError if the engine fails, ends or takes too long."""
        until_s = time.monotonic() + timeout_s
        with self._arrived:
            while True:
                for message in self._incoming:
                    if isinstance(message, kind):
                        self._incoming.remove(message)
                        return message
                    if isinstance(message, Failed):
                        self._incoming.remove(message)
                        raise HostError(message.what)
                if self._dead:
                    raise HostError(f"the engine process ended {self._how(LAST_LINES)}")
                if (
                    not self._arrived.wait(max(0.0, until_s - time.monotonic()))
                    and time.monotonic() >= until_s
                ):
                    raise NoAnswer(
                        f"the engine did not answer within {timeout_s:g} s ({kind.__name__}): the machine may be "
                        "too busy, or a driver hangs; restart the audio server"
                    )

    def died(self) -> str | None:
        """Return how the process ended ("by signal 9"), with its last line on stderr.

        None while it lives, or while a `Failed` of its own, which says more, is still to be taken.
        """
        with self._arrived:
            if not self._dead or any(isinstance(message, Failed) for message in self._incoming):
                return None
        return self._how(1)

    def end(self, quit_s: float) -> None:
        """End the process, each way harder than the one before; it is given `quit_s` to do so itself."""
        self.send(Quit())
        self._outgoing.put(None)
        if not self._ended_within(quit_s):
            self.process.terminate()
            if not self._ended_within(TERMINATE_S):
                self.process.kill()
                self._ended_within(KILL_S)
        self._let_go(KILL_S)

    def kill(self) -> None:
        """End the process at once; returns when it is gone, or after `REAP_S`."""
        self.process.kill()
        self._outgoing.put(None)
        if self._ended_within(REAP_S):
            self._let_go(REAP_S)
        else:
            threading.Thread(target=self._reap, name="engine reaper", daemon=True).start()

    def _reap(self) -> None:
        self.process.wait()
        self._let_go(KILL_S)

    def _let_go(self, timeout_s: float) -> None:
        until_s = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, until_s - time.monotonic()))
        self._log.close()

    def _ended_within(self, timeout_s: float) -> bool:
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _write(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError), self.process.stdin as pipe:
            while (data := self._outgoing.get()) is not None:
                write_all(pipe.fileno(), data)

    def _read(self) -> None:
        assert self.process.stdout is not None
        decoder = Decoder()
        with self.process.stdout as pipe, selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while True:
                if not selector.select(WATCH_S):
                    if self.alive:
                        continue
                    break
                if not (data := pipe.read(1 << 16)):
                    break
                for body in decoder.feed(data):
                    self._take_in(decode(body))
        self.process.wait()
        with self._arrived:
            self._dead = True
            self._arrived.notify_all()

    def _take_in(self, message: ToControl) -> None:
        match message:
            case Ready():
                self.ready = True
                return
            case Started():
                self.started_s = time.monotonic()
            case Built(number=number):
                self.built = number
            case Refused(number=number):
                self.refused |= {number}
        self.deliver(message)

    def _how(self, lines: int) -> str:
        """Return how the process ended, with so many of its last lines."""
        code = self.process.returncode
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        try:
            size = os.fstat(self._log.fileno()).st_size
            # Not by reading on: the place in the file is shared with who writes it.
            text = os.pread(self._log.fileno(), LOG_BYTES, max(0, size - LOG_BYTES))
        except ValueError:  # closed meanwhile
            return how
        said = text.decode(errors="replace").strip().splitlines()[-lines:]
        return f"{how}: {' / '.join(line.strip() for line in said)}" if said else how
