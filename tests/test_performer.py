"""What hands reach: every action does what it says, or says what it cannot do."""

from typing import Any

import pytest

from engine.control.performer import Performer
from engine.control.show import Show
from engine.errors import InputError, ParamError
from tests.scenes import small


class Scenes(Performer):
    """A list of three scenes, and where it has been gone to."""

    def __init__(self, show: Show) -> None:
        super().__init__(show, 3)
        self.gone: list[int] = []

    def go(self, place: int) -> None:
        self.gone.append(place)
        self.place = place


def test_an_action_does_something_else() -> None:
    with Show(small(), driver="null", log=None) as show:
        performer = Scenes(show)
        steps: list[tuple[str, Any, bool]] = [
            ("pause", None, True),
            ("pause", None, True),
            ("play", None, False),
            ("toggle", None, True),
            ("restart", None, False),
            ("toggle", None, True),
            ("toggle", None, False),
        ]
        for action, argument, paused in steps:
            performer.act(action, argument)
            assert show.paused is paused, action
        performer.act("seek", 2.0)
        assert show.position_s == pytest.approx(2.0, abs=0.2)
        performer.act("restart")
        assert show.position_s < 0.5
        for action, argument in (("next_scene", None), ("previous_scene", None), ("previous_scene", None)):
            performer.act(action, argument)
        performer.act("scene", 2)
        performer.act("scene", 2)
        assert performer.gone == [1, 0, 2, 1]
        performer.act("trigger", "bird")
        performer.act("trigger", 2.0)
        assert [event.track for event in show._log.triggers] == [2, 1]
        performer.set("room.wet_level", 0.25)
        assert performer.params.get("room.wet_level") == 0.25
        for wrong, told in (
            (("scene", 4), "there is no scene 4; 1 to 3"),
            (("dance", None), "no action 'dance'"),
        ):
            with pytest.raises(InputError, match=told):
                performer.act(*wrong)
        for action in ("seek", "scene", "trigger"):
            for wrong_number in (None, float("nan"), float("inf")):
                with pytest.raises(InputError):
                    performer.act(action, wrong_number)
        with pytest.raises(InputError, match="one scene only"):
            Performer(show).act("next_scene")
        with pytest.raises(ParamError):
            performer.set("room.wet_level", 7.0)
