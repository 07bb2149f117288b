"""What MIDI ports say, noted for tests."""

import threading
import time
from collections.abc import Callable

from engine.control.midi.ports import MidiPorts

PATIENCE_S = 15.0
POLL_S = 0.1


def wait(condition: Callable[[], object]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.01)


class Log:
    """Notes what the ports say."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.events: list[tuple[str, str]] = []
        self.flushed = 0
        self.threads: set[int] = set()

    def take(self, port: str, data: bytes, at_s: float) -> None:
        assert 0.0 <= time.monotonic() - at_s < PATIENCE_S
        self.threads.add(threading.get_ident())
        self.messages.append((port, data))

    def flush(self) -> None:
        self.threads.add(threading.get_ident())
        self.flushed += 1

    def note(self, what: str) -> Callable[[str], None]:
        return lambda text: self.events.append((what, text))

    def of(self, what: str) -> list[str]:
        return [text for kind, text in self.events if kind == what]

    def ports(self, name: str | None = None, *, virtual: bool = False, api: str = "jack") -> MidiPorts:
        return MidiPorts(
            self.take,
            self.flush,
            name=name,
            virtual=virtual,
            api=api,
            poll_s=POLL_S,
            on_appeared=self.note("appeared"),
            on_gone=self.note("gone"),
            on_notice=self.note("notice"),
        )


def numbered(count: int) -> list[bytes]:
    return [bytes((0xB0 | n % 16, n // 128 % 128, n % 128)) for n in range(count)]
