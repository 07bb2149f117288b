"""Instance files: one render of a scene with everything that was drawn for it, to render again bit for bit.

JSON that holds the scene in full, its folder as seen from the file, seed, rate and length, a SHA-256 of the samples of
every clip, and every event with all its fields. Rendered again, the clips are made as the scene says and compared; the
events are those of the file, and nothing is drawn.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import Field, ValidationError, create_model

from engine.errors import InputError, Problem, SceneError, SoundError
from engine.events import ANY_FRAME, MOST_GAIN, Event
from engine.scene.composition import Composition, compose
from engine.scene.files import read_bytes
from engine.scene.load import INSTANCE_MARK, scene_from_data
from engine.scene.material import Progress
from engine.scene.pass_filter import Pass, PassFilter, samples_sha256
from engine.scene.reader import field_name, shorten, show
from engine.scene.schema import Scene
from engine.scene.sounds import find_synth
from engine.scene.strict import Part
from engine.scene.timeline import Decision, Timeline, What

FORMAT = 1
MAX_BYTES = 256 << 20
MAX_FRAMES = 86_400 * 192_000
MAX_PROBLEMS = 50
REMEDY = "write the file again with `roomtone render SCENE --instance FILE`"

Frame = Annotated[int, Field(ge=0, le=MAX_FRAMES)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Text = Annotated[str, Field(max_length=4096)]
Hz = Annotated[float, Field(ge=20.0, le=20_000.0)]


def _event_model() -> type[Part]:
    """Return the model of an event: every field of `Event`, with its range."""
    fields: dict[str, Any] = {}
    for name, kind in get_type_hints(Event).items():
        if name == "entry_frame":
            limits = Field(ge=ANY_FRAME, le=MAX_FRAMES)
        elif kind is int:
            limits = Field(ge=0, le=MAX_FRAMES)
        elif name == "gain":
            limits = Field(ge=0.0, le=MOST_GAIN)
        elif name == "balance":
            limits = Field(ge=-1.0, le=1.0)
        else:
            # The correlations of cross-fades: beyond, there is no gain that keeps the power.
            limits = Field(ge=0.0, le=1.0)
        fields[name] = (Annotated[kind, limits], Event._field_defaults.get(name, ...))
    return create_model("EventRecord", __base__=Part, **fields)


class FilterRecord(Part):
    """Which earlier clip was filtered, and how."""

    clip: Annotated[int, Field(ge=0, le=4095)]
    kind: Pass
    corner_hz: Hz


class ClipRecord(Part):
    """One clip: what it is called, and what it must be."""

    source: Text
    frames: Annotated[int, Field(ge=1, le=MAX_FRAMES)]
    sha256: Digest
    filter: FilterRecord | None = None


class DecisionRecord(Part):
    """A `Decision`."""

    track: Text
    start_frame: Frame
    what: What
    from_s: float
    to_s: float
    gain_db: float
    filter_hz: float | None
    clash_before: float
    clash_after: float
    with_whom: Text
    bands_hz: Annotated[tuple[float, float], Field(strict=False)] | None
    why: Text


EventRecord = _event_model()


class Instance(Part):
    """An instance file as data. `sha256` is that of the samples of the render."""

    roomtone_instance: Literal[1]
    version: Text
    scene: dict[str, Any]
    folder: Text
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)]
    rate: Annotated[int, Field(ge=8000, le=192_000)]
    quantum: Annotated[int, Field(ge=16, le=2048)]
    frames: Annotated[int, Field(ge=1, le=MAX_FRAMES)]
    settings: dict[str, float | str] = Field(default_factory=dict)
    loudness_gain_db: float | None = None
    sha256: Digest
    clips: Annotated[tuple[ClipRecord, ...], Field(strict=False, max_length=4096)]
    events: Annotated[tuple[EventRecord, ...], Field(strict=False)]  # type: ignore[valid-type]
    decisions: Annotated[tuple[DecisionRecord, ...], Field(strict=False)] = ()

    @property
    def timeline(self) -> Timeline:
        """The finite form that the file holds."""
        filters = [clip.filter for clip in self.clips if clip.filter is not None]
        return Timeline(
            self.frames,
            tuple(Event(*(getattr(event, name) for name in Event._fields)) for event in self.events),
            tuple(Decision(**d.model_dump()) for d in self.decisions),
            len(self.clips) - len(filters),
            tuple(PassFilter(f.clip, f.kind, f.corner_hz) for f in filters),
        )


def is_instance(path: Path) -> bool:
    """Return whether a file is an instance, by what is in it; False for one that cannot be read."""
    try:
        head = read_bytes(path, str(path), "file", 1 << 16)
    except SceneError:
        return False
    return head.lstrip()[:1] == b"{" and f'"{INSTANCE_MARK}"'.encode() in head


def read_instance(path: Path) -> Instance:
    """Return the instance in a file. Raises SceneError with every problem, each with its field."""
    shown = shorten(str(path), 4096)
    content = read_bytes(path, shown, "instance file", MAX_BYTES)
    if len(content) > MAX_BYTES:
        raise SceneError(Problem("the file is too large", f"at most {MAX_BYTES} bytes", file=shown))
    try:
        data = json.loads(content, parse_constant=_no_constant, object_pairs_hook=_no_doubles)
    except (ValueError, RecursionError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else 0
        what = shorten(str(error)) if isinstance(error, ValueError) else "it is nested too deeply"
        raise SceneError(Problem(f"this is not JSON: {what}", REMEDY, file=shown, line=line)) from None
    try:
        instance = Instance.model_validate(data)
    except ValidationError as error:
        raise SceneError(list(_problems(error, shown))) from None
    if found := list(_faults(instance, shown)):
        raise SceneError(found[:MAX_PROBLEMS])
    return instance


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _no_doubles(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one mapping")
    return found


def _problems(error: ValidationError, shown: str) -> Iterator[Problem]:
    faults = error.errors(include_url=False)
    for fault in faults[:MAX_PROBLEMS]:
        place = field_name(tuple(fault["loc"]))
        if fault["type"] == "extra_forbidden":
            yield Problem("unknown key", REMEDY, place, shown)
        elif fault["type"] == "missing":
            yield Problem("is missing", REMEDY, place, shown)
        else:
            yield Problem(f"is {show(fault['input'])}", fault["msg"].lower(), place, shown)
    if len(faults) > MAX_PROBLEMS:
        yield Problem(f"and {len(faults) - MAX_PROBLEMS} more problems", file=shown)


def _faults(instance: Instance, shown: str) -> Iterator[Problem]:
    """Yield what does not fit together."""
    folder = PurePosixPath(instance.folder)
    if folder.is_absolute() or "\0" in instance.folder or "\\" in instance.folder:
        yield Problem("is not relative", "a path as seen from this file", "folder", shown)
    own = sum(clip.filter is None for clip in instance.clips)
    for i, clip in enumerate(instance.clips):
        if (clip.filter is not None) != (i >= own):
            yield Problem("stands among the filtered clips", "those come last", f"clips[{i}]", shown)
        elif clip.filter is not None and clip.filter.clip >= own:
            yield Problem(f"is {clip.filter.clip}", f"0 to {own - 1}", f"clips[{i}].filter.clip", shown)
        elif clip.filter is not None and clip.filter.corner_hz >= 0.5 * instance.rate:
            yield Problem("is too high", "below half the rate", f"clips[{i}].filter.corner_hz", shown)
    last = 0
    for i, event in enumerate(instance.timeline.events):
        place = f"events[{i}]"
        if event.start_frame < last:
            yield Problem("begins before the one above", "in the order of their starts", place, shown)
        last = event.start_frame
        if event.clip >= len(instance.clips):
            yield Problem(f"is {event.clip}", f"0 to {len(instance.clips) - 1}", f"{place}.clip", shown)
        elif event.offset_frames + event.frames > instance.clips[event.clip].frames:
            allowed = f"at most {instance.clips[event.clip].frames} frames"
            yield Problem("goes beyond the end of its clip", allowed, place, shown)
        elif max(event.fade_in_frames, event.fade_out_frames) > instance.clips[event.clip].frames:
            allowed = f"at most {instance.clips[event.clip].frames} frames"
            yield Problem("has a fade longer than its clip", allowed, place, shown)
        if event.frames < 1 or event.start_frame + event.frames > instance.frames:
            yield Problem(
                "is empty, or goes beyond the end", f"at most {instance.frames} frames", place, shown
            )


def compose_instance(
    instance: Instance, path: Path, *, library: Sequence[Path] = (), progress: Progress | None = None
) -> Composition:
    """Make the sounds of an instance ready, which was read from `path`, and give it the events of the file.

    Raises SceneError or SoundError for what the scene says, for a sound that is not what it was, and for an event
    whose track has no sound.
    """
    shown = shorten(str(path), 4096)
    # A file that does not tell is of a time when nothing was predicted.
    data = {"predict": False, **instance.scene}
    scene = scene_from_data(data, shown, folder=path.parent / instance.folder, library=library)
    try:
        made = compose(scene, rate_hz=instance.rate, seed=instance.seed, progress=progress)
    except SoundError as error:
        problems = [Problem(p.what, p.allowed, f"scene.{p.field}", shown) for p in error.problems]
        raise SoundError(problems) from None
    timeline = instance.timeline
    silent = {t.number for t in made.tracks if not t.clips}
    for i, event in enumerate(timeline.events):
        if event.track >= len(made.tracks) or event.track in silent:
            allowed = f"a track with a sound, 0 to {len(made.tracks) - 1}"
            raise SceneError(Problem(f"is {event.track}", allowed, f"events[{i}].track", shown))
    if len(made.materials) != timeline.first_added:
        what = f"there are {timeline.first_added} clips, and the scene has {len(made.materials)}"
        raise SceneError(Problem(what, REMEDY, "clips", shown))
    _compare(made, instance, shown)
    made = replace(made, length_frames=instance.frames).with_timeline(timeline)
    _compare(made, instance, shown, timeline.first_added)
    return made


def _compare(made: Composition, instance: Instance, shown: str, first: int = 0) -> None:
    """Raise SoundError for every clip from `first` on that is not what the file says it is."""
    pairs = zip(made.materials[first:], instance.clips[first:], strict=False)
    changed = [
        Problem(f"{m.source} is not the sound it was", REMEDY, f"clips[{i}]", shown)
        for i, (m, clip) in enumerate(pairs, first)
        if len(m.samples) != clip.frames or samples_sha256(m) != clip.sha256
    ]
    if changed:
        raise SoundError(changed)


def full_scene(composition: Composition) -> dict[str, Any]:
    """Return the scene in the long form, nothing left to defaults, presets, predictions, or to what a library has."""
    scene = composition.scene
    data: dict[str, Any] = scene.model_dump(mode="json", by_alias=True)
    room = scene.room
    data |= {"room_detected": room.detected, "room_size": room.size, "damping": room.damping}
    data |= {"wet_level": room.wet_level, "width": room.width}
    data["room"]["echo_ms"] = room.echo_ms
    data["seed"] = composition.seed
    for number, item in enumerate(data["objects"], 1):
        if number in composition.found:
            item["sound"] = composition.found[number].place
        elif item["sound"] is None:
            item["sound"] = f"synth:{find_synth(item['label'])}"
    data["predict"] = False
    for item, track in zip((data["atmo"], *data["objects"]), composition.tracks, strict=True):
        item["settings"] = track.strip.as_written()
    # Without these keys it is what it is with null, which a scene does not take everywhere.
    for part in (data, data["room"], *data["objects"], *(item["schedule"] for item in data["objects"])):
        for key in [key for key, value in part.items() if value is None]:
            del part[key]
    return data


def texts(
    composition: Composition,
    folder: Path,
    *,
    quantum: int,
    settings: Mapping[str, float | str],
    loudness_gain_db: float | None,
    sha256: str,
    version: str,
) -> Iterator[str]:
    """Yield the instance file of an arranged composition, for a file in `folder`; an item of a list to a line."""
    timeline = composition.arranged
    if timeline is None:
        raise InputError(Problem("the endless form has no instance", "render the finite form", "--instance"))
    files = any(m.path is not None for m in composition.materials) or composition.impulse is not None
    filters = dict(enumerate(timeline.filters, timeline.first_added))
    head = {
        INSTANCE_MARK: FORMAT,
        "version": version,
        "scene": full_scene(composition),
        "folder": relative_folder(composition.scene, folder) if files else ".",
        "seed": composition.seed,
        "rate": composition.rate_hz,
        "quantum": quantum,
        "frames": timeline.end_frame,
        "settings": dict(settings),
        "loudness_gain_db": loudness_gain_db,
        "sha256": sha256,
    }
    clips = (
        {
            "source": m.source[:4096],
            "frames": len(m.samples),
            "sha256": samples_sha256(m),
            "filter": None if (by := filters.get(i)) is None else vars(by),
        }
        for i, m in enumerate(composition.materials)
    )
    yield "{\n" + ",\n".join(f"{_text(key)}: {_text(value)}" for key, value in head.items())
    yield from _list("clips", clips)
    yield from _list("events", (event._asdict() for event in timeline.events))
    yield from _list("decisions", (d.as_dict() for d in timeline.decisions))
    yield "\n}\n"


def relative_folder(scene: Scene, folder: Path) -> str:
    """Return the scene's folder as seen from `folder`, with slashes."""
    return Path(os.path.relpath(os.path.realpath(scene.folder), os.path.realpath(folder))).as_posix()


def _list(name: str, items: Iterator[dict[str, Any]]) -> Iterator[str]:
    yield f",\n{_text(name)}: ["
    for number, item in enumerate(items):
        yield (",\n" if number else "\n") + _text(item)
    yield "]"


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False)
