"""A MIDI map as data: frozen models with every range and default, and the rules between their fields."""

import re
from fnmatch import fnmatchcase
from typing import Annotated, Final, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from engine.control.midi.controls import Encoding, Kind
from engine.scene.strict import Part, rule

MAX_BINDINGS = 2048
MAX_TRACKS = 512

Action = Literal["play", "pause", "toggle", "restart", "next_scene", "previous_scene", "scene", "trigger"]
Mode = Literal[
    "absolute",
    "toggle",
    "momentary",
    "relative-twos-complement",
    "relative-binary-offset",
    "relative-signed-bit",
]
Taper = Literal["linear", "log", "square", "sqrt"]
Data = Annotated[int, Field(ge=0, le=127)]
Text = Annotated[str, Field(min_length=1, max_length=500)]
Name = Annotated[str, Field(min_length=1, max_length=120)]
TrackNumber = Annotated[int, Field(ge=1, le=MAX_TRACKS)]
Range = Annotated[tuple[float, float], Field(strict=False)]
Notes = Annotated[tuple[Data, Data], Field(strict=False)]

CONTROLS: Final[tuple[str, ...]] = (
    *("cc", "cc14", "nrpn", "note", "notes", "pitch_bend", "pressure"),
    *("program", "start", "stop", "continue"),
)
"""The keys that name the control of a binding, exactly one in each."""

TRACK: Final = "{track}"


class Binding(Part):
    """One control and what it does: turn a parameter, or one of the actions.

    `channel` is 1 to 16, any of them, or `each`, where channel n means track n. `{track}` in `parameter` stands for
    the track; `track` says which, by its name or its number from 1, where the channel does not.
    """

    cc: Data | None = None
    cc14: Annotated[int, Field(ge=0, le=31)] | None = None
    nrpn: Annotated[int, Field(ge=0, le=16382)] | None = None
    note: Data | None = None
    notes: Notes | None = None
    pitch_bend: Literal[True] | None = None
    pressure: Literal[True] | None = None
    program: Literal[True] | None = None
    start: Literal[True] | None = None
    stop: Literal[True] | None = None
    continue_: Literal[True] | None = Field(None, alias="continue")

    channel: Annotated[int, Field(ge=1, le=16)] | Literal["any", "each"] = "any"
    parameter: Name | None = None
    action: Action | None = None
    track: TrackNumber | Name | None = None
    scene: Annotated[int, Field(ge=1, le=128)] | None = None

    mode: Mode | None = None
    range: Range | None = None
    curve: Taper | None = None
    takeover: Literal["pickup", "jump"] | None = None
    feedback: bool = False
    step: Annotated[float, Field(gt=0.0, le=1.0)] | None = None

    @property
    def kind(self) -> Kind:
        """What sort of control it is; `note` for a range of notes as well."""
        named = self._named
        return "note" if named == "notes" else named  # type: ignore[return-value]

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of its controls: several for a range of notes, (0,) where a control has none."""
        if self.notes is not None:
            return tuple(range(self.notes[0], self.notes[1] + 1))
        number = next((n for n in (self.cc, self.cc14, self.nrpn, self.note) if n is not None), 0)
        return (number,)

    @property
    def way(self) -> Mode:
        """The mode, also where it is not written: notes toggle, all others are absolute."""
        return self.mode or ("toggle" if self.kind == "note" else "absolute")

    @property
    def encoding(self) -> Encoding | None:
        """How an endless encoder speaks, if the mode says that it is one."""
        mode = self.mode
        if mode in ("relative-twos-complement", "relative-binary-offset", "relative-signed-bit"):
            return mode
        return None

    @property
    def picks_up(self) -> bool:
        """Whether it takes over softly: what stands somewhere does, unless it is told to jump."""
        return self.way == "absolute" and self.kind != "note" and self.takeover != "jump"

    @property
    def _named(self) -> str:
        given = [
            key for key in CONTROLS if getattr(self, "continue_" if key == "continue" else key) is not None
        ]
        return given[0] if len(given) == 1 else ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self._named:
            raise rule("this does not name one control", "exactly one of " + ", ".join(CONTROLS))
        if (self.parameter is None) == (self.action is None):
            raise rule("this does not say what the control does", "either `parameter` or `action`")
        if self.kind in ("start", "stop", "continue"):
            if self.channel != "any":
                raise rule(f"`{self.kind}` has no channel", "remove `channel`", ("channel",))
            if self.parameter is not None:
                raise rule(f"`{self.kind}` has no value", "an `action`", ("parameter",))
        if self.notes is not None and (self.action != "trigger" or self.notes[0] > self.notes[1]):
            raise rule(
                "this range of notes has no use", "[lowest, highest], with `action: trigger`", ("notes",)
            )
        if self.parameter is not None:
            self._check_parameter(self.parameter)
        else:
            self._check_action()
        return self

    def _check_parameter(self, parameter: str) -> None:
        placed = parameter.count(TRACK)
        if placed > 1 or re.search(r"[{}]", parameter.replace(TRACK, "")):
            raise rule(
                "this is no name of a parameter", "only {track} may stand in braces, once", ("parameter",)
            )
        if (self.track is not None or self.channel == "each") != bool(placed):
            raise rule(
                "which track is meant does not fit the parameter",
                "{track} in `parameter` goes with `track` or with `channel: each`",
                ("parameter",),
            )
        if self.track is not None and self.channel == "each":
            raise rule("the track is given twice", "`track` or `channel: each`", ("track",))
        if self.kind == "program":
            raise rule("a program has no value to turn", "`action: scene`", ("parameter",))
        if self.scene is not None:
            raise rule("`scene` goes with `action: scene`", "remove it", ("scene",))
        if self.encoding and self.kind != "cc":
            raise rule(f"{self.mode} is a way of a CC", "a control `cc`", ("mode",))
        if self.step is not None and not self.encoding and self.kind != "nrpn":
            raise rule("`step` goes with a relative mode", "remove it, or say the mode", ("step",))
        if self.takeover is not None and self.way != "absolute":
            raise rule(f"`takeover` does not go with mode {self.way}", "mode: absolute", ("takeover",))
        if self.range is not None and self.range[0] == self.range[1]:
            raise rule("the range is empty", "two different values", ("range",))
        if self.curve == "log" and self.range is not None and min(self.range) <= 0.0:
            raise rule("a log curve does not reach 0", "a range above 0", ("curve",))

    def _check_action(self) -> None:
        useless = [k for k in ("mode", "range", "curve", "takeover", "step") if getattr(self, k) is not None]
        if useless or self.feedback:
            key = useless[0] if useless else "feedback"
            raise rule(f"`{key}` goes with a parameter", "remove it", (key,))
        if self.action == "scene":
            if (self.scene is None) == (self.kind != "program"):
                raise rule(
                    "which scene is meant is not said once",
                    "`program: true`, or `scene` with a number",
                    ("scene",),
                )
        elif self.scene is not None:
            raise rule("`scene` goes with `action: scene`", "remove it", ("scene",))
        if self.action == "trigger":
            ways = (self.track is not None) + (self.notes is not None) + (self.channel == "each")
            if ways != 1:
                raise rule(
                    "which track to trigger is not said once",
                    "`track`, `notes` or `channel: each`",
                    ("track",),
                )
        elif self.track is not None or self.channel == "each":
            raise rule(f"{self.action} is not for one track", "remove `track`; a channel or any", ("action",))


class MidiMap(Part):
    """What the controls of a MIDI port do. `ports` are parts of the names of ports it is for; none: for any."""

    title: Name
    source: Text
    ports: tuple[Name, ...] = Field((), strict=False)
    bindings: tuple[Binding, ...] = Field((), strict=False, max_length=MAX_BINDINGS)

    _file: str = PrivateAttr("")
    _lines: tuple[int, ...] = PrivateAttr(())

    def place(self, index: int) -> tuple[str, int]:
        """The file and line of a binding; "" and 0 if it is in no file."""
        return self._file, self._lines[index] if index < len(self._lines) else 0

    def placed(self, file: str, lines: tuple[int, ...]) -> Self:
        """This map, knowing where its bindings stand."""
        self._file, self._lines = file, lines
        return self

    def names(self, port: str) -> bool:
        """Whether one of `ports` is a part of this port's name; capitals count as small, `*` and `?` are open."""
        patterns = (pattern.lower().replace("[", "[[]") for pattern in self.ports)
        return any(fnmatchcase(port.lower(), f"*{pattern}*") for pattern in patterns)
