"""What the keys and the edits of files do to a show: pause, move in time, cross over to another scene, take an edit."""

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from engine.control.incidents import reason

if TYPE_CHECKING:
    from engine.control.show import Show
    from engine.scene.composition import Composition

SEEK_S = 10.0
CLOSE_S = 0.1
"""How long a show that is to end waits for a change that is being handed over."""
HELP_LINE = "space pauses · ←/→ 10 s · n/p next and previous scene · q stops"


class Performance:
    """A show and the list of its scenes, each of which `load` makes ready by its place in the list.

    `place` is that of the scene that plays, the newer one while two cross-fade.
    """

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
        self._lock = threading.Lock()
        self._loading: int | None = None
        self._edited: Composition | None = None
        self._closing = False

    @property
    def scenes(self) -> int:
        """How many scenes there are."""
        return len(self._scenes)

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
        """Cross over to the scene at `place` of the list; it is made ready meanwhile, on a thread of its own.

        While one is made ready, a wish for another is not heeded.
        """
        if self._loading is None and not self._closing:
            self._loading = place
            threading.Thread(target=self._go, args=(place,), name="scene change", daemon=True).start()

    def edit(self, place: int, file: str, ready: Callable[[], "Composition"]) -> None:
        """Take over an edit of `file`, the scene at `place`, if it plays or is being made ready.

        Any other scene is read afresh when it is gone to. Raises what `ready` and the show do.
        """
        if place not in (self.place, self._loading):
            return
        composition = ready()
        with self._lock:
            if self._closing or place not in (self.place, self._loading):
                return
            if place == self._loading:
                # Its file may have been read before it was edited.
                self._edited = composition
            if place == self.place:
                self.show.edit(composition)
            self.show.tell("scene-edited", f"{file}: the edit is taken over")

    def refuse(self, text: str) -> None:
        """Tell that a scene is not used, and why."""
        with self._lock:
            if not self._closing:
                self.show.tell("scene-refused", text)

    def close(self) -> None:
        """Change nothing any more; what is still being made ready is left to itself."""
        self._closing = True
        if self._lock.acquire(timeout=CLOSE_S):
            self._lock.release()

    def _go(self, place: int) -> None:
        try:
            composition = self._load(place)
            with self._lock:
                if not self._closing:
                    self.show.go(self._edited or composition, self._crossfade_s)
                    self.place = place
        except Exception as error:
            # Nobody waits for this thread, and a traceback would be printed over the live view.
            self.refuse(f"{self._scenes[place]} is not used: {reason(error)}")
        finally:
            with self._lock:
                self._loading = self._edited = None
