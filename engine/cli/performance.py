"""What the keys do to a show: pause, move in time, cross over to another scene of the list."""

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from engine.errors import RoomtoneError

if TYPE_CHECKING:
    from engine.control.show import Show
    from engine.scene.composition import Composition

SEEK_S = 10.0
HELP_LINE = "space pauses · ←/→ 10 s · n/p next and previous scene · q stops"


class Performance:
    """A show and the list of its scenes, each of which `load` makes ready by its place in the list."""

    def __init__(
        self,
        show: "Show",
        scenes: Sequence[str],
        load: Callable[[int], "Composition"],
        crossfade_s: float,
    ) -> None:
        self.show = show
        self.place = 0
        self._scenes = scenes
        self._load = load
        self._crossfade_s = crossfade_s
        self._changing: threading.Thread | None = None

    def key(self, name: str) -> bool:
        """Do what key `name` means; return False if the show is to stop."""
        show = self.show
        match name:
            case "q":
                return False
            case "space":
                show.play() if show.paused else show.pause()
            case "left" | "right":
                seconds = show.position_s + (SEEK_S if name == "right" else -SEEK_S)
                show.seek(max(0, round(seconds * show.spec.rate_hz)))
            case "home":
                show.seek(0)
            case "n" | "p":
                self.go((self.place + (1 if name == "n" else -1)) % len(self._scenes))
            case _:
                pass
        return True

    def go(self, place: int) -> None:
        """Cross over to the scene at `place` of the list; it is made ready meanwhile, on a thread of its own."""
        if self._changing is not None and self._changing.is_alive():
            return
        self.place = place
        self._changing = threading.Thread(target=self._go, args=(place,), name="scene change", daemon=True)
        self._changing.start()

    def close(self) -> None:
        """Wait for a change under way."""
        if self._changing is not None:
            self._changing.join()

    def _go(self, place: int) -> None:
        try:
            self.show.go(self._load(place), self._crossfade_s)
        except RoomtoneError as error:
            reason = "; ".join(str(error).splitlines())
            self.show.tell("scene-refused", f"{self._scenes[place]} is not used: {reason}")
