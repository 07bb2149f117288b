"""What hands, near or far, can do to a performance: the side that MIDI, OSC and keys see."""

from typing import Protocol

from engine.params import ParamTable

ACTIONS = ("play", "pause", "toggle", "restart", "seek", "next_scene", "previous_scene", "scene", "trigger")


class Hands(Protocol):
    """Something that plays; used from several threads, the MIDI mapper's among them, in its `flush` only."""

    @property
    def params(self) -> ParamTable:
        """The parameters of the present scene: another table after each change of the scene."""
        ...

    def set(self, name: str, value: float) -> None:
        """Set a parameter, in natural units; `params` shows it at once. Raises ParamError if it is refused."""
        ...

    def act(self, action: str, argument: str | float | None = None) -> None:
        """Do one of `ACTIONS`.

        `seek` has seconds, `scene` the number of a scene, `trigger` a track's name or its number, both from 1.
        Raises RoomtoneError if it cannot be done.
        """
        ...
