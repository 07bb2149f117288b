"""What a recording's sidecar tells beside how it went: all that was done, so that the take can be rendered again."""

from collections import deque
from collections.abc import Sequence
from typing import Any

from engine.control.incidents import Incident
from engine.control.moves import MoveKeeper
from engine.events import Event
from engine.host.session import Underrun
from engine.messages import Stopped
from engine.moves import MoveLog
from engine.params import ParamTable
from engine.scene.composition import Composition
from engine.spec import StreamSpec

MOST_CHANGES = 1000


class TakeLog:
    """Moves of parameters, triggers, other changes and the end of a show, as they come. See `engine.control.take`.

    Where nothing is recorded only the newest changes are kept.
    """

    def __init__(self, moves: MoveLog, recording: bool) -> None:
        self._moves = MoveKeeper(moves)
        self._changes: deque[dict[str, Any]] = deque(maxlen=None if recording else MOST_CHANGES)
        self._end: Stopped | None = None

    def take(self, params: ParamTable) -> None:
        """Read what has moved since the last call, which must be within seconds."""
        self._moves.take(params)

    @property
    def triggers(self) -> list[Event]:
        """The events of all that was triggered, in the order in which it was."""
        return [change["event"] for change in self._changes if change["what"] == "trigger"]

    def change(self, frame: int, what: str, **more: object) -> None:
        """Note something else that was done while `frame` was to be rendered next, in the order it is done in."""
        self._changes.append({"frame": frame, "what": what, **more})

    def end(self, message: Stopped) -> None:
        """Note how it ended."""
        self._end = message

    def told(
        self,
        spec: StreamSpec,
        composition: Composition,
        underruns: Sequence[Underrun],
        incidents: Sequence[Incident],
    ) -> dict[str, Any]:
        """Return it as the sidecar has it, with what was played and how it went."""
        end = self._end
        return {
            "rate": spec.rate_hz,
            "quantum": spec.quantum_frames,
            "scene": composition.scene.title,
            "seed": composition.seed,
            "underruns": [underrun._asdict() for underrun in underruns],
            "incidents": [incident.as_json() for incident in incidents],
            "fade": end and {"frame": end.fade_frame, "frames": end.fade_frames},
            "changes": list(self._changes),
            "moves": self._moves.moves,
            "lost_moves": self._moves.lost,
        }
