"""Open Sound Control over UDP: other programs turn parameters, move in time, change scenes, and ask for values.

A parameter's address is its name with slashes, its arguments natural units or a switch's word:

    /room/wet_level 0.4            /unit/room/wet_level 0.5      a knob's position, 0 to 1
    /mix/car/panning -0.3          /mix/*/panning 0              patterns of OSC 1.0: * ? [] {}
    /transport/play                pause, toggle, restart; /transport/seek 12.5 (seconds)
    /scene/go 2                    /scene/next, /scene/previous
    /track/bell/trigger
    /get/room/wet_level            is answered with /room/wet_level and the value
    /params                        is answered with /params NAME VALUE LOWEST HIGHEST UNIT for each, then /params/end N;
                                   /params room for those whose names begin so

An action with the argument 0, which buttons send when they are let go, does nothing. Bundles count at once, whatever
their time. Where several values for one parameter wait, the last one counts.

Source    OSC 1.0 specification
"""

import contextlib
import errno
import logging
import math
import re
import select
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeAlias

from engine.control.hands import Hands
from engine.control.incidents import reason
from engine.errors import HostError, InputError, ParamError, Problem, RoomtoneError
from engine.params import Param, ParamTable

PORT = 9000
LARGEST_BYTES = 1 << 16
MOST_PACKETS = 512
"""So many are read before what they say is done."""

POLL_S = 0.1
JOIN_S = 2.0
LONGEST_ADDRESS, MOST_STARS, MOST_WORDS = 512, 4, 32
"""A pattern with more could keep the thread busy for long. A list of words counts as a star, and has so many in all."""

MOST_TOLD = 1000
"""So many different mistakes are told; a hostile sender could make up any number."""

Address: TypeAlias = tuple[Any, ...]
"""A socket address."""

_PATTERN = re.compile(r"[*?\[{]")
_UNFIT = re.compile(r"[\s#*,?\[\]{}/]")
"""What may not stand in a part of an address."""

_ACTIONS = {
    "/transport/play": "play",
    "/transport/pause": "pause",
    "/transport/toggle": "toggle",
    "/transport/restart": "restart",
    "/scene/next": "next_scene",
    "/scene/previous": "previous_scene",
}


@dataclass(slots=True)
class OscCounters:
    """Messages so far; packets that were no OSC; messages that were refused; answers that were sent."""

    messages: int = 0
    malformed: int = 0
    refused: int = 0
    answers: int = 0


class OscServer:
    """Takes messages for `hands` on a thread of its own. A context manager.

    It listens at `port` (0: any that is free; see `port` then) of `host`: this machine alone unless told otherwise.
    Nobody who reaches it needs a password. `on_notice` is called with a line for each mistake, once for each address.
    Raises HostError if the port cannot be had.
    """

    def __init__(
        self,
        hands: Hands,
        port: int = PORT,
        host: str = "127.0.0.1",
        on_notice: Callable[[str], object] = lambda _: None,
    ) -> None:
        if not 0 <= port <= 65_535:
            raise InputError(Problem(f"port {port}", "0 to 65535", "OSC port"))
        # set once
        self._hands = hands
        self._on_notice = on_notice
        self._socket = _bound(host, port)
        self.host, self.port = self._socket.getsockname()[:2]
        self._thread = threading.Thread(target=self._work, name="osc", daemon=True)
        self._leaving = threading.Event()
        # thread only
        self._params: ParamTable | None = None
        self._names: dict[str, str] = {}
        self._told: set[str] = set()
        # shared
        self.counters = OscCounters()

    def start(self) -> "OscServer":
        """Begin to listen."""
        if self._thread.ident is None:
            self._thread.start()
        return self

    def close(self) -> None:
        """Listen no more."""
        self._leaving.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(JOIN_S)
        self._socket.close()

    def __enter__(self) -> "OscServer":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # thread -------------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        from pythonosc.osc_packet import OscPacket

        _quiet()
        while not self._leaving.is_set():
            try:
                packets = self._receive()
            except (OSError, ValueError):  # closed
                if self._leaving.is_set():
                    return
                continue
            wanted: dict[str, tuple[list[Any], Address]] = {}
            for data, sender in packets:
                try:
                    messages = [timed.message for timed in OscPacket(data).messages]
                except Exception:  # the library raises what it likes for what is no OSC
                    self.counters.malformed += 1
                    continue
                for message in messages:
                    self.counters.messages += 1
                    address, arguments = message.address, list(message.params)
                    if _is_turn(address):
                        wanted.pop(address, None)
                        wanted[address] = arguments, sender
                    else:
                        # What is turned before counts before.
                        self._do_all(wanted)
                        self._do(address, arguments, sender)
            self._do_all(wanted)

    def _receive(self) -> list[tuple[bytes, Address]]:
        packets: list[tuple[bytes, Address]] = []
        timeout_s = POLL_S
        while len(packets) < MOST_PACKETS and select.select([self._socket], [], [], timeout_s)[0]:
            # An error of an earlier answer may be reported here; the next packet comes after it.
            with contextlib.suppress(ConnectionError):
                packets.append(self._socket.recvfrom(LARGEST_BYTES))
            timeout_s = 0.0
        return packets

    def _do_all(self, wanted: dict[str, tuple[list[Any], Address]]) -> None:
        for address, (arguments, sender) in wanted.items():
            self._do(address, arguments, sender)
        wanted.clear()

    def _do(self, address: str, arguments: list[Any], sender: Address) -> None:
        try:
            self._obey(address, arguments, sender)
        except RoomtoneError as error:
            self._refuse(address, reason(error))
        except Exception as error:  # nothing that comes in may end this thread
            self._refuse(address, reason(error))

    def _refuse(self, address: str, what: str) -> None:
        self.counters.refused += 1
        if address not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(address)
            with contextlib.suppress(Exception):
                self._on_notice(f"OSC {address[:200]!r}: {what}")

    def _obey(self, address: str, arguments: list[Any], sender: Address) -> None:
        if address in _ACTIONS:
            if not arguments or arguments[0]:
                self._hands.act(_ACTIONS[address], None)
        elif address == "/transport/seek":
            self._hands.act("seek", _one_number(arguments))
        elif address == "/scene/go":
            number = _one_number(arguments)
            if number != round(number):
                raise InputError(Problem(f"scene {number:g}", "a whole number, from 1"))
            self._hands.act("scene", int(number))
        elif address.startswith("/track/") and address.endswith("/trigger"):
            if not arguments or arguments[0]:
                self._hands.act(
                    "trigger", self._track(address.removeprefix("/track/").removesuffix("/trigger"))
                )
        elif address == "/params":
            self._answer_all(str(arguments[0]) if arguments else "", sender)
        elif address.startswith("/get/"):
            for name in self._meant(address.removeprefix("/get")):
                self._answer(sender, address_of(name), self._hands.params.get(name))
        else:
            unit = address.startswith("/unit/")
            names = self._meant(address.removeprefix("/unit") if unit else address)
            for name in names:
                self._turn(name, arguments, unit)

    def _turn(self, name: str, arguments: list[Any], unit: bool) -> None:
        param = self._hands.params.row(name).param
        if (
            len(arguments) == 1
            and isinstance(arguments[0], str)
            and arguments[0] in param.choices
            and not unit
        ):
            self._hands.set(name, param.lo + param.choices.index(arguments[0]))
            return
        number = _one_number(arguments, param)
        if unit:
            if not 0.0 <= number <= 1.0:
                raise ParamError(Problem(f"position {number:g} is refused", "must be 0 to 1", name))
            number = param.value_at(number)
        self._hands.set(name, number)

    def _meant(self, address: str) -> list[str]:
        """Return the names of the parameters at `address`; raises ParamError if there is none."""
        params = self._hands.params
        if params is not self._params:
            self._params = params
            self._names = {address_of(name): name for name in params.rows}
        if address in self._names:
            return [self._names[address]]
        stars = address.count("*") + address.count("{")
        if stars > MOST_STARS or address.count(",") > MOST_WORDS or len(address) > LONGEST_ADDRESS:
            raise ParamError(
                Problem(
                    "the address is too long", f"{LONGEST_ADDRESS} characters, {MOST_STARS} stars or lists"
                )
            )
        if _PATTERN.search(address):
            pattern = _regular(address)
            if found := [name for at, name in self._names.items() if pattern.fullmatch(at)]:
                return found
            raise ParamError(Problem("no parameter matches", "/params lists all"))
        params.row(address.strip("/").replace("/", "."))  # raises with the nearest names
        raise ParamError(Problem("there is no such parameter", "/params lists all"))

    def _track(self, part: str) -> str | int:
        """Return the name of the track that `part` of an address means, or its number."""
        rows = (row for row in self._hands.params if row.param.keys)
        keys = {_UNFIT.sub("_", key): key for row in rows for key in row.param.keys}
        if part in keys:
            return keys[part]
        return int(part) if part.isdecimal() and len(part) < 6 else part

    def _answer_all(self, prefix: str, sender: Address) -> None:
        params = self._hands.params
        rows = [row for row in params if row.name.startswith(prefix)]
        for row in rows:
            p = row.param
            self._answer(sender, "/params", row.name, params.get(row.name), float(p.lo), float(p.hi), p.unit)
        self._answer(sender, "/params/end", len(rows))

    def _answer(self, sender: Address, address: str, *arguments: str | float | int) -> None:
        from pythonosc.osc_message_builder import OscMessageBuilder

        builder = OscMessageBuilder(address)
        for argument in arguments:
            builder.add_arg(argument)
        with contextlib.suppress(OSError):  # the sender does not listen
            self._socket.sendto(builder.build().dgram, sender)
            self.counters.answers += 1


def address_of(name: str) -> str:
    """Return the address of a parameter; what may not stand in one is an underscore in it."""
    return "/" + "/".join(_UNFIT.sub("_", part) for part in name.split("."))


def _is_turn(address: str) -> bool:
    """Return whether a message sets parameters, so that only the last one counts."""
    others = ("/transport/", "/scene/", "/track/", "/get/")
    return address != "/params" and not address.startswith(others)


def _one_number(arguments: list[Any], param: Param | None = None) -> float:
    number = arguments[0] if len(arguments) == 1 else None
    if isinstance(number, bool | int | float) and math.isfinite(number):
        return float(number)
    words = f", or one of {', '.join(param.choices)}" if param is not None and param.choices else ""
    what = f"{number!r}"[:80] if len(arguments) == 1 else f"{len(arguments)} arguments"
    raise InputError(Problem(what, f"one number{words}"))


def _regular(pattern: str) -> "re.Pattern[str]":
    """Return a pattern of OSC 1.0 as a regular expression; a part of an address is matched on its own."""
    text, in_words = "", False
    pieces: list[str] = re.findall(r"\[!?[^\]]*\]|.", pattern, re.DOTALL)
    for piece in pieces:
        if len(piece) > 1:
            inside = piece[1:-1].replace("\\", "\\\\").replace("^", "\\^").replace("[", "\\[")
            text += f"[{'^/' + inside[1:] if inside.startswith('!') else inside}]"
        elif piece in "*?":
            text += "[^/]" + ("*" if piece == "*" else "")
        elif piece in "{}":
            in_words = piece == "{"
            text += "(?:" if in_words else ")"
        else:
            text += "|" if piece == "," and in_words else re.escape(piece)
    try:
        return re.compile(text)
    except re.error:
        raise ParamError(
            Problem("this is no pattern", "as in /mix/*/panning or /mix/{car,bell}/panning")
        ) from None


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        receiver = socket.socket(family, socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise HostError(f"OSC: there is no address {host!r} here ({why})") from None
    try:
        receiver.bind(address)
    except OSError as error:
        receiver.close()
        why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had ({error.strerror})"
        raise HostError(
            f"OSC port {port} of {host} {why}; choose another, or 0 for any that is free"
        ) from None
    return receiver


class _NotOf(logging.Filter):
    """Keeps out what a library logs: it is counted here, and would be printed over the live view."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is not the library's."""
        return "pythonosc" not in record.pathname


_FILTER = _NotOf()


def _quiet() -> None:
    logging.getLogger().addFilter(_FILTER)
