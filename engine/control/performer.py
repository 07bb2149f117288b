"""What the hands of a player reach: the parameters, the transport, the scenes and the sounds of a show.

MIDI, OSC and the keys all go through it.
"""

import math

from engine.control.hands import ACTIONS
from engine.control.show import MAX_SEEK_S, Show
from engine.errors import InputError, Problem
from engine.params import ParamTable


class Performer:
    """A show with `scenes` scenes, of which the one at `place`, from 0, plays. The `Hands` of MIDI, OSC and the keys.

    With more than one, `go` is what a subclass gives it. Safe to call from any thread.
    """

    def __init__(self, show: Show, scenes: int = 1) -> None:
        self.show = show
        self.scenes = scenes
        self.place = 0

    @property
    def params(self) -> ParamTable:
        """The parameters of the present scene."""
        return self.show.params

    def set(self, name: str, value: float | str) -> None:
        """Set a parameter, in natural units; raises ParamError."""
        self.show.set(name, value)

    def act(self, action: str, argument: str | float | None = None) -> None:
        """Do what `action` says; raises InputError if it cannot be done.

        `scene` has the number of a scene, from 1; `trigger` a track's name, or its number from 1; `seek` seconds.
        """
        show = self.show
        match action:
            case "play":
                if show.paused:
                    show.play()
            case "pause":
                if not show.paused:
                    show.pause()
            case "toggle":
                show.play() if show.paused else show.pause()
            case "restart":
                show.seek(0)
                if show.paused:
                    show.play()
            case "seek":
                seconds = min(max(_number(argument, "seconds"), -1.0), 2.0 * MAX_SEEK_S)
                show.seek(round(seconds * show.spec.rate_hz))
            case "next_scene" | "previous_scene":
                step = 1 if action == "next_scene" else -1
                self.go((self.place + step) % self.scenes)
            case "scene":
                self._go_to(round(_number(argument, "scene")))
            case "trigger":
                named = isinstance(argument, str)
                show.trigger(str(argument) if named else round(_number(argument, "track")))
            case _:
                raise InputError(Problem(f"there is no action {action!r}", ", ".join(ACTIONS)))

    def go(self, place: int) -> None:
        """Cross over to the scene at `place`."""
        raise InputError(Problem("there is one scene only"))

    def _go_to(self, number: int) -> None:
        if not 1 <= number <= self.scenes:
            raise InputError(Problem(f"there is no scene {number}", f"1 to {self.scenes}", "scene"))
        if number - 1 != self.place:
            self.go(number - 1)


def _number(argument: str | float | None, what: str) -> float:
    if argument is None or isinstance(argument, str) or not math.isfinite(argument):
        raise InputError(Problem(f"{argument!r} is no number", "a number", what))
    return argument
