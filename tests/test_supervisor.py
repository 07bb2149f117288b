"""What the supervisor decides where no real part misbehaves on demand: devices that refuse, machines that sleep."""

import contextlib
from types import SimpleNamespace
from typing import Any

import pytest

from engine.control.incidents import Incidents
from engine.control.supervisor import HANG_S, MOST_FAILURES, Supervisor
from engine.errors import HostError
from engine.messages import Built, DeviceLost, Failed, Started

DEVICE = "usb (ALSA)"


class World:
    """An engine, a probe and a clock that do as they are told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        self.heartbeat = 0
        self.how: str | None = None
        self.revived: list[tuple[str | None, str | None]] = []
        self.looking_for: list[str] = []
        self.found = False
        self.beats = True
        monkeypatch.setattr("engine.control.supervisor.time.monotonic", lambda: self.now_s)
        self.incidents = Incidents(None)
        self.supervisor = Supervisor(self, self, self.incidents, lambda frame: None, contextlib.nullcontext())
        self.supervisor.take(Started("portaudio", DEVICE, 0.01))

    def statistics(self) -> Any:
        return SimpleNamespace(heartbeat=self.heartbeat, frame_rendered=0)

    def died(self) -> str | None:
        return self.how

    def end_engine(self) -> None:
        self.how = None

    def revive(self, *, driver: str | None = None, device: str | None = None) -> None:
        self.revived.append((driver, device))

    def start(self, device: str) -> None:
        self.looking_for.append(device)

    def stop(self) -> None:
        self.found = False

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.02)):
            self.now_s += 0.02
            self.heartbeat += self.beats
            self.supervisor.tick()

    @property
    def kinds(self) -> list[str]:
        return [incident.kind for incident in self.incidents.all]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_a_device_that_is_there_but_refuses_is_tried_less_and_less_and_told_of_once(world: World) -> None:
    """In two simulated minutes at most seven times; a steady return forgets it."""
    world.supervisor.take(DeviceLost(DEVICE, 0))
    for _ in range(1200):
        world.found = True
        before = len(world.revived)
        world.wait(0.1)
        if len(world.revived) > before and world.revived[-1][0] == "portaudio":
            world.supervisor.take(Failed(f"{DEVICE} is busy"))
            world.supervisor.take(Started("null", "null clock", 0.0))
    tries = [device for driver, device in world.revived if driver == "portaudio"]
    assert tries == [DEVICE] * len(tries)
    assert 4 <= len(tries) <= 7
    assert world.kinds == ["device-lost", "start-failed"]
    world.found = True
    world.wait(70.0)
    world.supervisor.take(Started("portaudio", DEVICE, 0.01))
    assert world.kinds[-1] == "device-back"
    world.wait(6.0)
    world.supervisor.take(DeviceLost(DEVICE, 0))
    world.found = True
    world.wait(0.1)
    assert world.revived[-1] == ("portaudio", DEVICE)


def test_a_device_is_looked_for_and_opened_by_its_own_name(world: World) -> None:
    world.supervisor.take(DeviceLost(DEVICE, 0))
    assert world.looking_for == [DEVICE]
    world.wait(1.0)
    assert world.revived == []
    world.found = True
    world.wait(0.1)
    assert world.revived == [("portaudio", DEVICE)]


def test_an_engine_without_a_heartbeat_is_replaced_after_a_second(world: World) -> None:
    world.wait(1.0)
    world.beats = False
    world.wait(HANG_S - 0.1)
    assert world.revived == []
    world.wait(0.2)
    assert world.revived == [("portaudio", DEVICE)]
    assert world.kinds == ["engine-hung"]


def test_a_machine_that_slept_has_no_engine_that_hung(world: World) -> None:
    """Time that this process did not see does not count."""
    world.wait(1.0)
    world.now_s += 3600.0
    world.beats = False
    world.wait(0.5)
    world.beats = True
    world.wait(1.0)
    assert world.revived == []


def test_a_driver_that_hangs_when_it_is_opened_is_left_but_a_graph_may_take_its_time(world: World) -> None:
    world.how = "by signal 9"
    world.wait(0.02)
    world.wait(30.0)
    assert world.revived == [("portaudio", DEVICE)]
    world.supervisor.take(Built(7, 0))
    world.wait(5.0)
    assert world.revived[1:] == [("null", None)]
    assert world.kinds == ["engine-died", "driver-hung"]


def test_engines_that_never_begin_are_given_up(world: World) -> None:
    for _ in range(MOST_FAILURES + 1):
        world.how = "by signal 11"
        world.wait(0.02)
    world.how = "by signal 11"
    with pytest.raises(HostError, match="could not begin; the last: the new engine ended by signal 11"):
        world.wait(0.02)


def test_an_engine_that_begins_is_never_given_up(world: World) -> None:
    for _ in range(100):
        world.how = "by signal 9"
        world.wait(0.02)
        world.supervisor.take(Started("portaudio", DEVICE, 0.01))
    assert len(world.revived) == 100
