"""MIDI devices of another program, over JACK, in a process that may hang or crash without ours doing so."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

ANSWER_S = 20.0


class MidiDevices:
    """Devices that are plugged in and out, send, and keep what is sent to them. A context manager."""

    def __enter__(self) -> "MidiDevices":
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Unplugged properly, because a synchronous server waits for who just disappears.
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(ANSWER_S / 4)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def ask(self, verb: str, *arguments: object, patience_s: float = ANSWER_S) -> Any:
        """Have it do something and return its answer; a process that does not answer is killed by a timer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        timer = threading.Timer(patience_s, self._process.kill)
        timer.start()
        try:
            self._process.stdin.write(json.dumps([verb, *arguments]) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        assert line, f"the process of the devices ended at {verb}"
        return json.loads(line)

    def plug(self, name: str) -> None:
        """Make a device appear."""
        self.ask("plug", name)

    def plug_once(self, name: str) -> None:
        """Make it appear unless it is there."""
        self.ask("plug_once", name)

    def unplug(self, name: str) -> None:
        """Make a device disappear."""
        self.ask("unplug", name)

    def send(self, name: str, *messages: bytes) -> None:
        """Send these from a device."""
        self.ask("send", name, [list(message) for message in messages])

    def turn(self, name: str, messages: list[bytes], waits_s: list[float]) -> list[float]:
        """Send each message after its wait; return when each was sent, in monotonic seconds."""
        patience_s = sum(waits_s) + ANSWER_S
        lists = [list(message) for message in messages]
        return [float(at_s) for at_s in self.ask("turn", name, lists, waits_s, patience_s=patience_s)]

    def flood(self, names: list[str], rate_hz: int, seconds: float) -> dict[str, dict[int, int]]:
        """Have all devices turn controllers 0 to 9, at `rate_hz` in all; return the last values when it ends."""
        values = self.ask("flood", names, rate_hz, seconds, patience_s=seconds + ANSWER_S)
        return {name: {int(c): v for c, v in of.items()} for name, of in values.items()}

    def received(self, name: str) -> list[bytes]:
        """Return what was sent to a device so far."""
        return [bytes(message) for message in self.ask("received", name)]


class _Devices:
    def __init__(self) -> None:
        import rtmidi

        self._rtmidi: Any = rtmidi
        self._devices: dict[str, tuple[Any, Any, list[list[int]]]] = {}

    def plug(self, name: str) -> None:
        jack = self._rtmidi.API_UNIX_JACK
        received: list[list[int]] = []
        sender = self._rtmidi.MidiOut(jack, name=name)
        sender.open_virtual_port("out")
        receiver = self._rtmidi.MidiIn(jack, name=name)
        receiver.open_virtual_port("in")
        receiver.set_callback(lambda event, _: received.append(event[0]))
        self._devices[name] = (sender, receiver, received)

    def plug_once(self, name: str) -> None:
        if name not in self._devices:
            self.plug(name)

    def unplug(self, name: str) -> None:
        sender, receiver, _ = self._devices.pop(name)
        receiver.cancel_callback()
        receiver.delete()
        sender.delete()

    def unplug_all(self) -> None:
        for name in list(self._devices):
            self.unplug(name)

    def send(self, name: str, messages: list[list[int]]) -> None:
        for message in messages:
            self._devices[name][0].send_message(message)

    def turn(self, name: str, messages: list[list[int]], waits_s: list[float]) -> list[float]:
        sent_s = []
        for message, wait_s in zip(messages, waits_s, strict=True):
            time.sleep(wait_s)
            sent_s.append(time.monotonic())
            self._devices[name][0].send_message(message)
        return sent_s

    def received(self, name: str) -> list[list[int]]:
        return self._devices[name][2]

    def flood(self, names: list[str], rate_hz: int, seconds: float) -> dict[str, dict[int, int]]:
        last: dict[str, dict[int, int]] = {name: {} for name in names}
        begin_s = time.monotonic()
        sent = 0
        while (now_s := time.monotonic()) < begin_s + seconds:
            for n in range(sent, round((now_s - begin_s) * rate_hz)):
                name = names[n % len(names)]
                control, value = n // 7 % 10, n // 3 % 128
                self._devices[name][0].send_message([0xB0, control, value])
                last[name][control] = value
                sent += 1
            time.sleep(0.001)
        return last


if __name__ == "__main__":
    devices = _Devices()
    for line in sys.stdin:
        verb, *arguments = json.loads(line)
        print(json.dumps(getattr(devices, verb)(*arguments)), flush=True)
    devices.unplug_all()
    os._exit(0)
