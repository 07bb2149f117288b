"""A take: the sidecar of a recording, from which the same samples can be rendered again."""

from collections import deque
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from engine.control.deck import PlayingDeck
from engine.errors import InputError, Problem
from engine.events import Event
from engine.params import ParamTable
from engine.scene.composition import Composition
from engine.scene.files import read_bytes
from engine.spec import RATES_HZ

Frame = Annotated[int, Field(ge=0, le=2**53)]
Number = Annotated[int, Field(ge=-(2**62), le=2**62)]
EventFields = Annotated[
    tuple[Frame, Frame, Frame, Frame, Frame, Frame, Frame, float, float, float, Number, float],
    BeforeValidator(
        lambda fields: [*fields, 0.0] if isinstance(fields, list) and len(fields) == 11 else fields
    ),
    Field(strict=False),
]
"""Those of an `engine.events.Event`; without a balance, as a sidecar was written before events had one, it is 0."""

MOST_BYTES = 2**28
MAX_PROBLEMS = 10


class _Part(BaseModel):
    """A part of a sidecar; what is not needed to render it again is not looked at."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)


class EndFade(_Part):
    """The fade-out that ended the take: where it began and how long it took; no frame where there was none."""

    frame: Frame | None
    frames: Frame


class Change(_Part):
    """Something that was done besides moving parameters, while `frame` was to be rendered next.

    It acts from `at_frame` on; a seek goes `to_frame` of the scene. A trigger has an `engine.events.Event`.
    """

    frame: Frame
    what: str
    at_frame: Frame | None = None
    to_frame: Frame | None = None
    event: EventFields | None = None

    @property
    def again(self) -> bool:
        """Whether a render can do it again."""
        match self.what:
            case "pause" | "play":
                return self.at_frame is not None
            case "seek":
                return self.at_frame is not None and self.to_frame is not None
            case "trigger":
                return self.event is not None
            case _:
                return False

    @property
    def due_frame(self) -> int:
        """When a render does it at the latest: while that frame is to be rendered next."""
        acts = self.at_frame if self.event is None else self.event[0]
        return self.frame if acts is None else min(self.frame, acts)

    def do(self, deck: PlayingDeck) -> None:
        """Do it again."""
        match self:
            case Change(what="pause", at_frame=int() as at_frame):
                deck.pause(at_frame)
            case Change(what="play", at_frame=int() as at_frame):
                deck.go_on(at_frame)
            case Change(what="seek", at_frame=int() as at_frame, to_frame=int() as to_frame):
                deck.move_to(to_frame, at_frame)
            case Change(what="trigger", event=tuple() as event):
                deck.feeder.trigger(Event(*event))
            case _:
                pass


class Take(_Part):
    """What was played: `frames` from `first_frame` on of `scene` with `seed`, and all that was done meanwhile.

    `sha256` is that of the rendered samples, float32, little-endian, interleaved.
    """

    scene: str
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    rate: Annotated[int, Field(ge=RATES_HZ[0], le=RATES_HZ[-1])]
    quantum: Annotated[int, Field(ge=1)]
    frames: Annotated[int, Field(ge=1, le=2**40)]
    first_frame: Frame
    sha256: str
    fade: EndFade | None
    changes: list[Change]
    moves: list[tuple[Frame, str, float]]
    lost_moves: int

    @classmethod
    def read(cls, path: Path) -> "Take":
        """Read a sidecar; raises InputError that names the file and the field, or what cannot be rendered again."""
        try:
            text = read_bytes(path, str(path), "sidecar of a recording, as take.wav.json", MOST_BYTES)
            take = cls.model_validate_json(text)
        except ValidationError as error:
            raise InputError(_problems(error, path)) from None
        take._check(path)
        return take

    def _check(self, path: Path) -> None:
        """Raise InputError if no render can be what was heard."""
        for first in (change for change in self.changes if not change.again):
            what = f"has a {first.what!r} at frame {first.frame}"
            allowed = "only a take of one scene that was not edited, by one engine, can be rendered again"
            raise InputError(Problem(what, allowed, "changes", str(path)))
        if self.first_frame:
            raise InputError(
                Problem(f"begins at frame {self.first_frame}", "must begin at 0", "first_frame", str(path))
            )
        if self.lost_moves:
            raise InputError(Problem(f"{self.lost_moves} moves are missing", "", "lost_moves", str(path)))

    def check_fits(self, composition: Composition, path: Path) -> None:
        """Raise InputError if `composition` is not what was played."""
        title = composition.scene.title
        if title != self.scene:
            raise InputError(Problem(f"is a take of {self.scene!r}", f"not of {title!r}", "scene", str(path)))
        wrong = [
            (field, mine, its)
            for field, mine, its in (
                ("seed", self.seed, composition.seed),
                ("rate", self.rate, composition.rate_hz),
            )
            if mine != its
        ]
        for field, mine, its in wrong:
            raise InputError(Problem(f"was played with {field} {mine}", f"not {its}", field, str(path)))
        for number, change in enumerate(self.changes):
            if change.event is not None and not _plays(Event(*change.event), composition):
                field = f"changes[{number}].event"
                raise InputError(Problem("is no sound of this scene", "as it was recorded", field, str(path)))

    def replay(self) -> "Replay":
        """Return what does it all again."""
        return Replay(self)


class Replay:
    """Does again what was done in a take: `play` does all until a frame, to be called before each quantum."""

    def __init__(self, take: Take) -> None:
        self._moves = deque(sorted(take.moves, key=lambda move: move[0]))
        self._changes = deque(take.changes)

    def play(self, params: ParamTable, deck: PlayingDeck, frame: int) -> None:
        """Set every parameter that moved at `frame` or before, and do whatever else was done by then.

        Raises ParamError.
        """
        while self._moves and self._moves[0][0] <= frame:
            _, name, value = self._moves.popleft()
            params.set(name, value)
        while self._changes and self._changes[0].due_frame <= frame:
            self._changes.popleft().do(deck)


def _plays(event: Event, composition: Composition) -> bool:
    materials = composition.materials
    if event.track >= len(composition.tracks) or event.clip >= len(materials):
        return False
    return event.offset_frames + event.frames <= len(materials[event.clip].samples)


def _problems(error: ValidationError, path: Path) -> list[Problem]:
    found = []
    for one in error.errors()[:MAX_PROBLEMS]:
        parts: list[Any] = list(one["loc"])
        field = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in parts).lstrip(".")
        what = "is missing" if one["type"] == "missing" else one["msg"].lower()
        what = what if one["type"] != "json_invalid" else f"is no JSON: {one['ctx']['error']}"
        found.append(Problem(what, "a sidecar that `roomtone play --record` wrote", field, str(path)))
    return found
