"""OSC over UDP: what is meant is done, what is wrong is ignored, counted and told once; nothing ends the server."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from engine.control.osc import OscServer, address_of
from engine.errors import HostError, InputError, Problem
from engine.params import Param, ParamTable

PATIENCE_S = 10.0
ROOM = (
    Param("wet_level", "", 0.0, 1.0, 0.3, "how wet"),
    Param("cutoff", "Hz", 20.0, 20_000.0, 1000.0, "", curve="log"),
)
MIX = (Param("panning", "", -1.0, 1.0, 0.0, "where", keys=("car", "big bell", "st.range")),)
UNMASK = (Param("delta", "", 0.0, 1.0, 0.0, "", choices=("off", "on")),)
NODES: list[tuple[str, tuple[Param, ...]]] = [("room", ROOM), ("mix", MIX), ("unmask", UNMASK)]


class Player:
    """A real table of parameters, and a list of actions."""

    def __init__(self) -> None:
        self.params = ParamTable.of(NODES)
        self.sets = 0
        self.done: list[tuple[str, object]] = []
        self.hold = threading.Event()
        self.hold.set()

    def set(self, name: str, value: float) -> None:
        assert self.hold.wait(PATIENCE_S)
        self.sets += 1
        self.params.set(name, value)

    def act(self, action: str, argument: str | float | None = None) -> None:
        if argument == 99:
            raise InputError(Problem("scene 99", "1 to 3"))
        self.done.append((action, argument))


class Client:
    """Sends to a server and hears its answers."""

    def __init__(self, server: OscServer) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(PATIENCE_S)
        self._to = (server.host, server.port)

    def raw(self, data: bytes) -> None:
        self._socket.sendto(data, self._to)

    def send(self, address: str, *arguments: Any) -> None:
        self.raw(message(address, *arguments).dgram)

    def hear(self) -> tuple[str, list[Any]]:
        heard = OscMessage(self._socket.recv(65_536))
        return heard.address, list(heard.params)

    def close(self) -> None:
        self._socket.close()


def message(address: str, *arguments: Any) -> OscMessage:
    builder = OscMessageBuilder(address)
    for argument in arguments:
        builder.add_arg(argument)
    return builder.build()


@pytest.fixture
def player() -> Player:
    return Player()


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def server(player: Player, told: list[str]) -> Iterator[OscServer]:
    with OscServer(player, 0, on_notice=told.append) as server:
        yield server


@pytest.fixture
def client(server: OscServer) -> Iterator[Client]:
    client = Client(server)
    yield client
    client.close()


def wait(condition: Callable[[], object]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.005)


def synchronise(client: Client) -> None:
    """Return when all that was sent before is done."""
    client.send("/params", "no such")
    assert client.hear() == ("/params/end", [0])


@pytest.mark.parametrize(
    ("address", "argument", "name", "value"),
    [
        ("/room/wet_level", 0.75, "room.wet_level", 0.75),
        ("/room/wet_level", 1, "room.wet_level", 1.0),
        ("/mix/car/panning", -0.25, "mix.car.panning", -0.25),
        ("/mix/big_bell/panning", 0.5, "mix.big bell.panning", 0.5),
        ("/mix/st/range/panning", 0.5, "mix.st.range.panning", 0.5),
        ("/unit/mix/car/panning", 0.25, "mix.car.panning", -0.5),
        ("/unit/room/cutoff", 1.0, "room.cutoff", 20_000.0),
        ("/unmask/delta", "on", "unmask.delta", 1.0),
        ("/unmask/delta", True, "unmask.delta", 1.0),
        ("/unit/unmask/delta", 0.75, "unmask.delta", 1.0),
    ],
)
def test_a_message_turns_its_parameter(
    client: Client, player: Player, told: list[str], address: str, argument: object, name: str, value: float
) -> None:
    client.send(address, argument)
    synchronise(client)
    assert player.params.get(name) == pytest.approx(value)
    assert told == []


@pytest.mark.parametrize("pattern", ["/mix/*/panning", "/mix/{car,big_bell,st}*/panning", "/m[a-k]x/*/*"])
def test_a_pattern_turns_all_it_matches_within_a_part_of_the_address(
    client: Client, player: Player, pattern: str
) -> None:
    """`*` does not pass a slash, so the track with a dot in its name is not meant."""
    client.send(pattern, 0.5)
    synchronise(client)
    assert player.params.get("mix.car.panning") == player.params.get("mix.big bell.panning") == 0.5
    assert player.params.get("room.wet_level") == pytest.approx(0.3)
    assert player.params.get("mix.st.range.panning") == 0.0


@pytest.mark.parametrize(
    "pattern",
    [
        "/" + "{,}" * 100 + "zz",
        "/" + "{?,?}" * 60 + "zz",
        "/" + "*" * 200,
        "/" + ("{" + ",".join("a" * n for n in range(1, 11)) + "}") * 3 + "*zz",
        "/*{" + ",".join("?" * n for n in range(1, 8)) + "}*zz",
    ],
)
def test_a_pattern_keeps_the_thread_for_ever(client: Client, player: Player, pattern: str) -> None:
    client.send(pattern, 0.5)
    client.send("/room/wet_level", 0.125)
    synchronise(client)
    assert player.params.get("room.wet_level") == 0.125


def test_actions_come_in_their_order_and_the_end_of_a_press_does_nothing(
    client: Client, player: Player
) -> None:
    for address, *arguments in (
        ("/transport/pause",),
        ("/transport/play", 1.0),
        ("/transport/play", 0.0),
        ("/transport/seek", 12.5),
        ("/transport/toggle",),
        ("/transport/restart",),
        ("/scene/go", 2),
        ("/scene/next", 1),
        ("/scene/previous",),
        ("/track/big_bell/trigger",),
        ("/track/3/trigger", 1.0),
    ):
        client.send(str(address), *arguments)
    synchronise(client)
    assert player.done == [
        ("pause", None),
        ("play", None),
        ("seek", 12.5),
        ("toggle", None),
        ("restart", None),
        ("scene", 2),
        ("next_scene", None),
        ("previous_scene", None),
        ("trigger", "big bell"),
        ("trigger", 3),
    ]


def test_questions_are_answered_to_who_asked(client: Client, server: OscServer) -> None:
    other = Client(server)
    client.send("/get/room/wet_level")
    assert client.hear() == ("/room/wet_level", [pytest.approx(0.3)])
    client.send("/params", "room")
    assert client.hear() == ("/params", ["room.wet_level", pytest.approx(0.3), 0.0, 1.0, ""])
    assert client.hear() == ("/params", ["room.cutoff", 1000.0, 20.0, 20_000.0, "Hz"])
    assert client.hear() == ("/params/end", [2])
    other.send("/params")
    assert [other.hear()[0] for _ in range(7)] == ["/params"] * 6 + ["/params/end"]
    other.close()


@pytest.mark.parametrize(
    ("address", "arguments", "what"),
    [
        ("/room/wet", [0.5], "did you mean"),
        ("/room/wet_level", [1.5], "must be 0 to 1"),
        ("/room/wet_level", [float("nan")], "nan; one number"),
        ("/room/wet_level", ["loud"], "'loud'; one number"),
        ("/room/wet_level", [], "0 arguments; one number"),
        ("/room/wet_level", [0.1, 0.2], "2 arguments"),
        ("/unmask/delta", ["maybe"], "one of off, on"),
        ("/unmask/delta", [0.5], "one of 0 (off), 1 (on)"),
        ("/unit/room/wet_level", [1.5], "must be 0 to 1"),
        ("/scene/go", [1.5], "a whole number"),
        ("/scene/go", [99], "scene 99; 1 to 3"),
        ("/transport/seek", ["x"], "one number"),
        ("/mix/[z-a]/panning", [0.0], "this is no pattern"),
        ("/*/" + "*" * 50, [0.0], "too long"),
        ("/nothing/*", [0.0], "no parameter matches"),
    ],
)
def test_what_is_refused_is_counted_and_told_once(
    client: Client,
    server: OscServer,
    player: Player,
    told: list[str],
    address: str,
    arguments: list[Any],
    what: str,
) -> None:
    before = [player.params.get(row.name) for row in player.params]
    for _ in range(2):
        client.send(address, *arguments)
        synchronise(client)
    assert server.counters.refused == 2
    assert len(told) == 1
    assert what in told[0]
    assert [player.params.get(row.name) for row in player.params] == before


def test_a_bundle_is_done_whatever_its_time(client: Client, player: Player) -> None:
    inner = OscBundleBuilder(2_080_000_000)
    inner.add_content(message("/mix/car/panning", 0.5))
    bundle = OscBundleBuilder(IMMEDIATELY)
    bundle.add_content(message("/room/wet_level", 0.5))
    bundle.add_content(inner.build())
    client.raw(bundle.build().dgram)
    synchronise(client)
    assert player.params.get("room.wet_level") == player.params.get("mix.car.panning") == 0.5


def test_of_many_values_that_wait_only_the_last_is_set(client: Client, player: Player) -> None:
    """100 values of one fader while the server stands: the first is set, later ones far less often than they came."""
    player.hold.clear()
    client.send("/room/wet_level", 0.0)
    for n in range(100):
        client.send("/mix/car/panning", n / 100)
    player.hold.set()
    synchronise(client)
    assert player.params.get("mix.car.panning") == pytest.approx(0.99)
    assert player.sets < 50


PACKETS = st.one_of(
    st.binary(max_size=80),
    st.binary(max_size=40).map(lambda b: b"#bundle\x00" + b),
    st.tuples(
        st.sampled_from([b"/room/wet_level\x00", b"/a\x00\x00,zzz\x00\x00\x00\x00"]), st.binary(max_size=24)
    ).map(b"".join),
)


def test_no_packet_is_too_strange(client: Client, server: OscServer, player: Player) -> None:
    @given(PACKETS)
    def send(data: bytes) -> None:
        client.raw(data)
        synchronise(client)

    send()
    assert server.counters.malformed > 0
    client.send("/mix/car/panning", 1.0)
    synchronise(client)
    assert player.params.get("mix.car.panning") == 1.0


def test_what_is_no_osc_writes_nothing_to_the_terminal(
    client: Client, server: OscServer, capfd: pytest.CaptureFixture[str]
) -> None:
    client.raw(b"/a\x00\x00,zzz\x00\x00\x00\x00")
    client.raw(b"\xff" * 30)
    synchronise(client)
    assert capfd.readouterr() == ("", "")


def test_another_scene_has_other_parameters(client: Client, player: Player, told: list[str]) -> None:
    client.send("/mix/car/panning", 0.5)
    synchronise(client)
    player.params = ParamTable.of([("mix", (Param("panning", "", -1.0, 1.0, 0.0, "", keys=("bus",)),))])
    client.send("/mix/car/panning", 0.25)
    client.send("/mix/bus/panning", 0.75)
    synchronise(client)
    assert player.params.get("mix.bus.panning") == 0.75
    assert len(told) == 1


def test_a_port_in_use_and_a_host_that_is_not_here_are_refused(server: OscServer, player: Player) -> None:
    assert server.host == "127.0.0.1"
    with pytest.raises(HostError, match=f"OSC port {server.port} of 127.0.0.1 is in use"):
        OscServer(player, server.port)
    with pytest.raises(HostError, match="no address"):
        OscServer(player, 0, "no such host.invalid")
    with pytest.raises(InputError, match="OSC port: port 65536; 0 to 65535"):
        OscServer(player, 65_536)


def test_a_closed_server_lets_go_of_its_port(player: Player) -> None:
    with OscServer(player, 0) as server:
        port = server.port
    OscServer(player, port).close()


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4))
def test_an_address_has_nothing_that_is_part_of_a_pattern(parts: list[str]) -> None:
    address = address_of(".".join(parts))
    assert address.startswith("/")
    assert not set(address) & set(" #*,?[]{}\t\n")
