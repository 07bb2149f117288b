"""A control surface: what is learned and what is played keep apart, and a clock goes through both."""

from pathlib import Path

import pytest

from engine.control.midi.surface import MidiSurface
from engine.params import Param, ParamTable


class Desk:
    """Hands that note what they do."""

    def __init__(self) -> None:
        self.params = ParamTable.of([("room", (Param("wet_level", "", 0.0, 1.0, 0.3, ""),))])
        self.acts: list[str] = []

    def set(self, name: str, value: float) -> None:
        self.params.set(name, value)

    def act(self, action: str, argument: str | float | None = None) -> None:
        self.acts.append(action)


def test_a_sequencer_stands_still_while_a_control_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ticks and a start go on, also over the change of maps; a knob turns nothing, until it is learned."""
    monkeypatch.setenv("ROOMTONE_CONFIG", str(tmp_path))
    desk, told = Desk(), list[str]()
    surface = MidiSurface(desk, told.append)
    surface.learn("room.wet_level")
    surface._flush()
    assert surface.learning == "room.wet_level"
    assert told == ["move the control for room.wet_level"]
    surface._take("desk", b"\xfa", 0.0)
    for tick in range(49):
        surface._take("desk", b"\xf8", tick / 48)
        surface._take("desk", bytes((0xB0, 91, tick)), tick / 48)
    surface._flush()
    assert desk.acts == ["restart"]
    assert desk.params.get("room.wet_level") == 0.3
    clock = surface._mapper.clock(1.0)
    assert clock is not None
    assert clock[0] == pytest.approx(120.0)
    assert clock[1] == pytest.approx(2.0, abs=0.1)
    assert not surface.learning
    assert "room.wet_level" in (tmp_path / "midi" / "learned.yaml").read_text()
