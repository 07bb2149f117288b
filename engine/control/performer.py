"""What the hands of a player reach: the parameters, the transport, the scenes and the sounds of a show.

MIDI, OSC and the keys all go through it.
"""

from collections.abc import Callable

from engine.control.midi.map_schema import Action
from engine.control.show import Show
from engine.errors import InputError, Problem
from engine.params import ParamTable


class Performer:
    """A show whose scenes are numbered from 0 to `scenes` - 1: `go` crosses over to one, `place` says which plays.

    A `Target` of the MIDI mapper. Safe to call from any thread.
    """

    def __init__(
        self,
        show: Show,
        scenes: int = 1,
        go: Callable[[int], None] | None = None,
        place: Callable[[], int] | None = None,
    ) -> None:
        self.show = show
        self._scenes = scenes
        self._go = go
        self._place = place

    @property
    def params(self) -> ParamTable:
        """The parameters of the present scene."""
        return self.show.params

    def set(self, name: str, value: float | str) -> None:
        """Set a parameter, in natural units; raises ParamError."""
        self.show.set(name, value)

    def act(self, action: Action | str, argument: str | float | None = None) -> None:
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
                show.seek(round(float(argument or 0.0) * show.spec.rate_hz))
            case "next_scene" | "previous_scene":
                step = 1 if action == "next_scene" else -1
                self.go((self.place + step) % self._scenes)
            case "scene":
                self._go_to(int(argument or 0))
            case "trigger":
                show.trigger(int(argument) if isinstance(argument, float | int) else str(argument))
            case _:
                raise InputError(Problem(f"there is no action {action!r}", "see `roomtone midi map`"))

    @property
    def place(self) -> int:
        """The place of the scene that plays."""
        return self._place() if self._place else 0

    def go(self, place: int) -> None:
        """Cross over to the scene at `place`; to the one that plays it is a way back to its beginning."""
        if self._go:
            self._go(place)

    def _go_to(self, number: int) -> None:
        if not 1 <= number <= self._scenes:
            raise InputError(Problem(f"there is no scene {number}", f"1 to {self._scenes}", "scene"))
        if number - 1 != self.place:
            self.go(number - 1)
