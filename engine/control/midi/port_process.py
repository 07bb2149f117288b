"""The process that holds the MIDI ports: opens what is there, closes what has gone, passes on what comes in.

A process of its own, because the library runs our code on the audio server's thread, and because a server that dies
may hang or crash it: then this process is thrown away, and the show goes on. It ends when its standard input does.
"""

import contextlib
import json
import os
import pickle
import queue
import re
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from engine.control.midi.apis import NUMBERS, Api, choose_api
from engine.control.midi.backlog import Backlog
from engine.control.midi.jack_watch import JackWatch
from engine.control.midi.port_names import CLIENT, is_own, labels, matching, output_of
from engine.errors import InputError
from engine.host.framing import Decoder, framed, write_all

LONGEST_BYTES = 1024
"""A longer message, which can only be a system-exclusive one, is not taken."""

WATCH_S = 0.02
"""How often a server is asked whether anything has changed, and how long it is then given to settle."""

LEAVE_S = 1.5
"""How long the ports may take to be closed before the process ends without."""

BATCH_S = 0.001
"""How long messages are gathered after some were passed on: of a flood each costs less then, and none waits longer."""

LOG_BYTES = 1 << 16
"""What the libraries may write to standard error before it is forgotten."""

SERVER_LOST = 3
"""Exit code: the audio server has gone, and its library is not to be trusted any more."""

VIRTUAL = CLIENT
"""The label of the virtual port."""


@dataclass(frozen=True, slots=True)
class PortsWish:
    """What to open: the inputs that `name` means, or a virtual one; looked for every `poll_s`."""

    api: Api = "auto"
    name: str | None = None
    virtual: bool = False
    poll_s: float = 0.5


class PortKeeper:
    """Keeps the ports of `wish` open and fills `backlog`; everything on the thread of `run`."""

    def __init__(self, rtmidi: Any, wish: PortsWish, backlog: Backlog) -> None:
        # set once
        self._rtmidi = rtmidi
        self._wish = wish
        self._backlog = backlog
        self.commands: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
        """(port, bytes to send), or None, which wakes it up."""
        self.leaving = threading.Event()
        # thread of `run` only
        self._api: Api | None = None
        self._lookers: tuple[Any, Any] | None = None
        self._watch: JackWatch | None = None
        self._labels: dict[str, str] = {}
        self._inputs: list[str] = []
        self._outputs: list[str] = []
        self._open: dict[str, tuple[str, Any]] = {}
        self._sending: dict[str, tuple[str, Any]] = {}
        self._troubles: dict[str, str] = {}
        self._mute: set[str] = set()
        self._told: object = None
        self._unsent = 0

    def run(self) -> int:
        """Go on until `leaving` is set; return the exit code."""
        look_s = time.monotonic()
        while not self.leaving.is_set():
            watch = self._watch
            left_s = look_s - time.monotonic()
            try:
                command = self.commands.get(timeout=max(0.0, min(left_s, WATCH_S) if watch else left_s))
            except queue.Empty:
                command = None
            if watch is not None:
                if watch.lost():
                    self._backlog.tell(("none", "the JACK server has gone; MIDI comes back with it"))
                    return SERVER_LOST
                if watch.changed():
                    look_s = min(look_s, time.monotonic() + WATCH_S)
            if command is not None:
                self._send(*command)
            if time.monotonic() >= look_s:
                self._notice_trouble(self._look)
                look_s = time.monotonic() + self._wish.poll_s * (1 if self._lookers is not None else 2)
                self._backlog.tell(("alive", self._unsent, dict(self._backlog.thinned)))
                _forget_log()
        for label in list(self._open):
            self._close(label)
        for handle in (*(sender for _, sender in self._sending.values()), *(self._lookers or ())):
            handle.delete()
        if self._watch is not None:
            self._watch.close()
        return 0

    # ports --------------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """See which ports are there, close and open what has changed."""
        if self._lookers is None and not self._begin():
            return
        assert self._lookers is not None
        before = self._outputs
        self._inputs, self._outputs = (looker.get_ports() for looker in self._lookers)
        if self._outputs != before:
            self._mute.clear()
        self._labels = labels(self._inputs, self._labels)
        named = {label: name for name, label in self._labels.items()}
        meant = [] if self._wish.virtual and self._wish.name is None else matching(self._wish.name, named)
        for label, (name, _) in list(self._open.items()):
            if label != VIRTUAL and (
                named.get(label) != name or label not in meant or not self._is_connected(name)
            ):
                self._close(label)
        for label, (name, handle) in list(self._sending.items()):
            if label != VIRTUAL and (name not in self._outputs or not self._is_connected(name)):
                del self._sending[label]
                handle.delete()
        self._troubles = {
            label: what for label, what in self._troubles.items() if label in named or not label
        }
        self._tell(("ports", self._api, tuple(named), tuple(self._outputs), tuple(meant)))
        for label in meant:
            if label not in self._open:
                self._notice_trouble(partial(self._open_input, label, named[label]), label)

    def _begin(self) -> bool:
        """Find the system's MIDI; say why if there is none."""
        rtmidi = self._rtmidi
        try:
            self._api = choose_api(self._wish.api, rtmidi.get_compiled_api())
            if self._api == "jack":
                self._watch = _jack_watch()
            number = NUMBERS[self._api]
            self._lookers = rtmidi.MidiIn(number, name=CLIENT), rtmidi.MidiOut(number, name=CLIENT)
        except (InputError, OSError, rtmidi.RtMidiError, rtmidi.SystemError) as error:
            self._tell(("none", f"no MIDI: {_sentence(error)}"))
            return False
        if self._wish.virtual:
            sender = rtmidi.MidiOut(number, name=CLIENT)
            sender.open_virtual_port("out")
            self._sending[VIRTUAL] = ("", sender)
            receiver = self._receiver(VIRTUAL)
            receiver.open_virtual_port("in")
            self._open[VIRTUAL] = ("", receiver)
            self._backlog.tell(("appeared", VIRTUAL))
        return True

    def _is_connected(self, name: str) -> bool:
        """Return False if a port that was opened is another by now, of the same name. Only JACK tells."""
        if self._watch is None:
            return True
        ours = _short(name)
        return any(
            is_own(other) and other.partition(":")[2] == ours for other in self._watch.connections(name)
        )

    def _receiver(self, label: str) -> Any:
        receiver = self._rtmidi.MidiIn(NUMBERS[self._api or "auto"], name=CLIENT)
        # Clock and system-exclusive messages are wanted, the 300 ms sign of life is not.
        receiver.ignore_types(sysex=False, timing=False, active_sense=True)
        backlog, clock = self._backlog, time.monotonic

        def take(event: tuple[list[int], float], _: object = None) -> None:
            if len(event[0]) > LONGEST_BYTES:
                backlog.skip(label)
            else:
                backlog.add(label, bytes(event[0]), clock())

        receiver.set_callback(take)
        return receiver

    def _open_input(self, label: str, name: str) -> None:
        receiver = self._receiver(label)
        if _open_by_name(receiver, name):
            self._open[label] = (name, receiver)
            self._backlog.tell(("appeared", label))
        else:  # gone again: the next look sees
            receiver.cancel_callback()
            receiver.delete()

    def _close(self, label: str) -> None:
        _, receiver = self._open.pop(label)
        receiver.cancel_callback()
        receiver.delete()
        self._backlog.tell(("gone", label))

    def _send(self, label: str, data: bytes) -> None:
        if label not in self._sending and label not in self._mute:
            self._notice_trouble(partial(self._open_output, label), label)
        try:
            self._sending[label][1].send_message(data)
        except Exception:  # KeyError where there is no output, else the library's
            self._unsent += 1

    def _open_output(self, label: str) -> None:
        """Open the output of the device whose input is `label`; without one it is mute until outputs change."""
        self._mute.add(label)
        output = output_of(self._open[label][0], self._inputs, self._outputs) if label in self._open else None
        if output is None:
            return
        sender = self._rtmidi.MidiOut(NUMBERS[self._api or "auto"], name=CLIENT)
        if _open_by_name(sender, output):
            self._sending[label] = (output, sender)
            self._mute.discard(label)
        else:
            sender.delete()

    # telling ------------------------------------------------------------------------------------------------------

    def _tell(self, news: object) -> None:
        """Tell what has changed."""
        if news != self._told:
            self._told = news
            self._backlog.tell(news)

    def _notice_trouble(self, what: Callable[[], object], label: str = "") -> None:
        """Do `what`; tell what it raises, of each port once."""
        try:
            what()
        except Exception as error:
            text = f"MIDI: {label + ': ' if label else ''}{_sentence(error)}"
            if self._troubles.get(label) != text:
                self._troubles[label] = text
                self._backlog.tell(("notice", text))


def _open_by_name(handle: Any, name: str) -> bool:
    """Open the port called `name`, whatever its number is by now; False if it is gone, or another took its number."""
    names = handle.get_ports()
    if name not in names:
        return False
    number = names.index(name)
    handle.open_port(number, name=_short(name))
    return bool(handle.get_port_name(number) == name)


def _short(name: str) -> str:
    """Return what our own port is called that is connected to port `name`."""
    return name.replace(":", " ")


def _jack_watch() -> JackWatch | None:
    """Return a watch of the server, None without the library to do it; raises OSError where there is no server."""
    try:
        return JackWatch(f"{CLIENT}-watch")
    except OSError as error:
        if "JACK server" in str(error):
            raise
        return None


def _sentence(error: BaseException) -> str:
    """Return what an error says, without the function of the library that says it."""
    text = " ".join(str(error).split())
    return re.sub(r"^\w+::\w+: ", "", text) or type(error).__name__


def _forget_log() -> None:
    """Cut off what the libraries wrote to standard error, if that is a file and has grown."""
    with contextlib.suppress(OSError):
        if os.fstat(2).st_size > LOG_BYTES:
            os.ftruncate(2, 0)
            os.lseek(2, 0, os.SEEK_SET)


def _read_commands(keeper: PortKeeper) -> None:
    decoder = Decoder()
    while data := os.read(0, 1 << 16):
        for body in decoder.feed(data):
            keeper.commands.put(pickle.loads(body))
    keeper.leaving.set()
    keeper.commands.put(None)
    time.sleep(LEAVE_S)
    os._exit(0)


def _write_backlog(backlog: Backlog, ended: threading.Event) -> None:
    with contextlib.suppress(OSError):  # nobody reads any more: standard input ends as well
        while True:
            last = ended.is_set()
            parts = backlog.take(0.1)
            if parts:
                write_all(1, framed(pickle.dumps(parts, pickle.HIGHEST_PROTOCOL)))
                time.sleep(BATCH_S)
            elif last:
                return


def _serve(wish: PortsWish) -> int:
    backlog, ended = Backlog(), threading.Event()

    def show(message: Warning | str, *_: object) -> None:
        backlog.tell(("notice", f"MIDI: {' '.join(str(message).split())}"))

    warnings.showwarning = show  # type: ignore[assignment]
    writer = threading.Thread(target=_write_backlog, args=(backlog, ended), daemon=True)
    writer.start()
    try:
        import rtmidi
    except Exception as error:  # ImportError: a system library is missing
        backlog.tell(("none", f"no MIDI: python-rtmidi cannot be loaded ({_sentence(error)})"))
        sys.stdin.buffer.read()
        return 0
    keeper = PortKeeper(rtmidi, wish, backlog)
    threading.Thread(target=_read_commands, args=(keeper,), daemon=True).start()
    code = keeper.run()
    ended.set()
    writer.join(LEAVE_S)
    return code


def _list(wish: Api) -> dict[str, Any]:
    try:
        import rtmidi

        api = choose_api(wish, rtmidi.get_compiled_api())
    except (ImportError, InputError) as error:
        return {"api": "", "inputs": [], "outputs": [], "problem": f"no MIDI: {_sentence(error)}"}
    found: dict[str, Any] = {"api": api, "inputs": [], "outputs": [], "problem": ""}
    try:
        for kind, handle in (("inputs", rtmidi.MidiIn), ("outputs", rtmidi.MidiOut)):
            names = handle(NUMBERS[api], name=CLIENT).get_ports()
            found[kind] = list(labels([name for name in names if not is_own(name)], {}).values())
    except Exception as error:
        found["problem"] = f"no MIDI: {_sentence(error)}"
    return found


if __name__ == "__main__":
    if sys.argv[1] == "list":
        sys.stdout.write(json.dumps(_list(sys.argv[2])) + "\n")  # type: ignore[arg-type]
        sys.stdout.flush()
        os._exit(0)  # leaving normally may hang where the server has died meanwhile
    os._exit(_serve(PortsWish(**json.loads(sys.argv[1]))))
