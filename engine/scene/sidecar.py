"""`NAME.yaml` beside a sound `NAME.wav`: what the sound is called, who made it, and how good it is."""

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError

from engine.errors import Problem, SceneError
from engine.scene.files import read_bytes
from engine.scene.labels import MAX_LABEL, words
from engine.scene.reader import CONTROL, Document, FieldPath, field_name, read, shorten, show
from engine.scene.strict import Part, rule
from engine.scene.taxonomy import Role

MAX_BYTES = 16 * 1024
MAX_NAMES = 64
MAX_TEXT = 500


def _check_text(text: str) -> str:
    if found := re.search(f"[{CONTROL}]", text):
        raise rule(f"holds the character U+{ord(found[0]):04X}", "only printable text, on one line")
    if text != text.strip() or not text:
        raise rule("is blank or begins or ends with a space", "text without spaces around it")
    return text


def _check_label(label: str) -> str:
    if not words(label):
        raise rule(f'"{shorten(label)}" holds no word', "letters or digits")
    return label


Text = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_check_text)]
Name = Annotated[str, Field(max_length=MAX_LABEL), AfterValidator(_check_text), AfterValidator(_check_label)]
Names = Annotated[tuple[Name, ...], Field(strict=False, max_length=MAX_NAMES)]


class Sidecar(Part):
    """What a sidecar may say; all of it may be left out, and nothing else is allowed."""

    label: Name | None = Field(None, description="What it is, instead of what the name of the file says.")
    synonyms: Names = Field((), description="Other labels that mean exactly this.")
    tags: Names = Field((), description="What it also has to do with; found after labels and synonyms.")
    credit: Text | None = Field(None, description="Whom to name.")
    licence: Text | None = Field(None, description="Under what it may be used, such as CC0 or CC BY 4.0.")
    role: Role | None = Field(None, description="object: an event; atmo: a steady bed.")
    rating: Annotated[float, Field(ge=0.0, le=5.0)] | None = Field(None, description="0 to 5.")
    votes: Annotated[int, Field(ge=0, le=10**9)] | None = Field(
        None, description="How many have rated it; left out, the rating counts as five."
    )
    downloads: Annotated[int, Field(ge=0, le=10**12)] | None = Field(
        None, description="How often it was taken."
    )
    loopable: bool | None = Field(None, description="Whether its end leads back to its beginning.")
    rt60_s: Annotated[float, Field(ge=0.0, le=60.0)] | None = Field(
        None, description="Reverberation time of the room in the recording, in seconds."
    )


_ALLOWED = {
    "role": "must be object or atmo",
    "rating": "must be 0 to 5",
    "votes": "must be a whole number, 0 or more",
    "downloads": "must be a whole number, 0 or more",
    "loopable": "must be true or false",
    "rt60_s": "must be 0 to 60 seconds",
    "label": f"must be text of 1 to {MAX_LABEL} characters (numbers in quotes)",
    "synonyms": f"must be a list of at most {MAX_NAMES} labels, each of 1 to {MAX_LABEL} characters",
    "tags": f"must be a list of at most {MAX_NAMES} labels, each of 1 to {MAX_LABEL} characters",
    "credit": f"must be text of 1 to {MAX_TEXT} characters",
    "licence": f"must be text of 1 to {MAX_TEXT} characters",
}


def read_sidecar(path: Path, shown: str | None = None) -> Sidecar:
    """Return what the sidecar at `path` says, an empty file nothing.

    Raises SceneError naming the file as `shown`, with the line of every fault: hostile YAML (anchors, tags, control
    characters, more than 16 KiB), unknown keys, values out of range.
    """
    shown = shorten(str(path), 4096) if shown is None else shown
    raw = read_bytes(path, shown, "sidecar", MAX_BYTES)
    if len(raw) > MAX_BYTES:
        raise SceneError(
            Problem("the file is too large", f"a sidecar has at most {MAX_BYTES} bytes", file=shown)
        )
    document = read(raw, shown)
    data = {} if document.data is None else document.data
    if not isinstance(data, dict):
        what, allowed = f"the sidecar is {show(data)}", "must be a mapping such as {label: dog}"
        raise SceneError(Problem(what, allowed, file=shown, line=1))
    try:
        return Sidecar.model_validate(data)
    except ValidationError as error:
        faults = error.errors(include_url=False)[:MAX_NAMES]
        raise SceneError([_problem(fault, document, shown) for fault in faults]) from None


def _problem(fault: Any, document: Document, file: str) -> Problem:
    place: FieldPath = fault["loc"]
    key = str(place[0]) if place else ""
    if fault["type"] == "extra_forbidden":
        what, allowed = f"unknown key `{shorten(key)}`", "known keys are " + ", ".join(Sidecar.model_fields)
    elif fault["type"] == "rule":
        what, allowed = fault["ctx"]["what"], fault["ctx"]["allowed"]
    else:
        what, allowed = f"is {show(fault['input'])}", _ALLOWED.get(key, "")
    return Problem(what, allowed, field_name(place), file, document.line(place))
