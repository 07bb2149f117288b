"""What the keys and the edits of files do to a show: pause, move in time, cross over to another scene, take an edit."""

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from engine.cli.knob import COARSE, FINE, Knob
from engine.control.incidents import reason
from engine.control.performer import Performer
from engine.errors import InputError

if TYPE_CHECKING:
    from engine.control.show import Show
    from engine.scene.composition import Composition

SEEK_S = 10.0
CLOSE_S = 0.1
"""How long a show that is to end waits for a change that is being handed over."""
HELP_LINE = "space pauses · ←/→ 10 s · ↑/↓ parameters · n/p next and previous scene · q stops"
KNOB_LINE = "←/→ turn · shift or < > coarsely · home resets · l learns · ↑/↓ others · esc lets go"


class Performance(Performer):
    """A show and the list of its scenes, each of which `load` makes ready by its place in the list.

    `place` is that of the scene that plays, the newer one while two cross-fade. `knob` is the parameter that keys turn.
    `learn` is called with its name when a control is to be learned for it; whoever has MIDI sets it.
    """

    def __init__(
        self,
        show: "Show",
        scenes: Sequence[str],
        load: Callable[[int], "Composition"],
        crossfade_s: float,
    ) -> None:
        super().__init__(show, len(scenes))
        self._names = scenes
        self._load = load
        self._crossfade_s = crossfade_s
        self._lock = threading.Lock()
        self._loading: int | None = None
        self._edited: Composition | None = None
        self._closing = False
        self._wishing = threading.Lock()
        self.knob = Knob(show)
        self.learn: Callable[[str], object] = self._learn_nothing

    @property
    def keys(self) -> str:
        """What keys do now, in a line."""
        return HELP_LINE if self.knob.chosen is None else KNOB_LINE

    def key(self, name: str) -> bool:
        """Do what key `name` means, or tell why it cannot be done; return False if the show is to stop."""
        try:
            return self._do(name)
        except InputError as error:
            # Another thread may have changed the scene meanwhile.
            self.show.tell("notice", str(error))
            return True

    def _do(self, name: str) -> bool:
        chosen = self.knob.chosen
        match name:
            case "q":
                return False
            case "space":
                self.act("toggle")
            case "up" | "down":
                self.knob.choose(1 if name == "down" else -1)
            case "escape":
                self.knob.let_go()
            case "left" | "right" if chosen is not None:
                self.knob.turn(FINE if name == "right" else -FINE)
            case "shift-left" | "<":
                self.knob.turn(-COARSE)
            case "shift-right" | ">":
                self.knob.turn(COARSE)
            case "home" if chosen is not None:
                self.knob.reset()
            case "l" if chosen is not None:
                self.learn(chosen)
            case "left" | "right":
                self.act("seek", max(0.0, self.show.position_s + (SEEK_S if name == "right" else -SEEK_S)))
            case "home":
                self.act("seek", 0.0)
            case "n" | "p":
                self.act("next_scene" if name == "n" else "previous_scene")
            case _:
                pass
        return True

    def _learn_nothing(self, name: str) -> None:
        self.show.tell("notice", f"there is no MIDI controller to learn {name} from")

    def go(self, place: int) -> None:
        """Cross over to the scene at `place` of the list; it is made ready meanwhile, on a thread of its own.

        While one is made ready, a wish for another is not heeded.
        """
        with self._wishing:
            if self._loading is not None or self._closing:
                return
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
            self.refuse(f"{self._names[place]} is not used: {reason(error)}")
        finally:
            with self._lock:
                self._loading = self._edited = None
