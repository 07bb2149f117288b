"""When an object sounds, as data: the kinds of schedule with their ranges and units."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag

from engine.scene.strict import Part, rule

MAX_SECONDS = 86_400.0


def _check_gap(gap_s: tuple[float, float]) -> tuple[float, float]:
    if not gap_s[0] <= gap_s[1] or gap_s[1] <= 0.0:
        raise rule(
            f"gap is {gap_s[0]:g} to {gap_s[1]:g}", "the minimum may not exceed the maximum, nor both be 0"
        )
    return gap_s


Seconds = Annotated[float, Field(ge=0.0, le=MAX_SECONDS, json_schema_extra={"unit": "seconds"})]
Beats = Annotated[float, Field(ge=0.25, le=1024.0, json_schema_extra={"unit": "quarter notes"})]
Gap = Annotated[tuple[Seconds, Seconds], Field(strict=False), AfterValidator(_check_gap)]


class Once(Part):
    """The sound is heard once."""

    kind: Literal["once"] = "once"
    at: Seconds | None = Field(None, description="Start in seconds; left out, a seeded random place.")


class Loop(Part):
    """The sound goes on without end, joined by crossfades, or begins again on the beats of the scene's tempo."""

    model_config = ConfigDict(json_schema_extra={"required": ["kind"]})

    kind: Literal["loop"] = "loop"
    beats: Beats | None = Field(
        None,
        description="Quarter notes at `tempo_bpm` after which it begins again; left out, when it has ended.",
    )


class Random(Part):
    """The sound comes again and again, with a random silence between: a renewal process without memory."""

    model_config = ConfigDict(json_schema_extra={"required": ["kind", "gap"]})

    kind: Literal["random"] = "random"
    gap: Gap = Field(
        description="Silence between two events in seconds: [a, b]. It is a at least, (a + b) / 2 on average with an "
        "exponential spread, and a + 4 (b - a) at most."
    )


def _kind(schedule: Any) -> str | None:
    kind = schedule.get("kind", "once") if isinstance(schedule, dict) else getattr(schedule, "kind", None)
    return kind if isinstance(kind, str) else None


Schedule = Annotated[
    Annotated[Once, Tag("once")] | Annotated[Loop, Tag("loop")] | Annotated[Random, Tag("random")],
    Discriminator(_kind),
]
