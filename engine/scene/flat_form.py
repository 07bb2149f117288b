"""The flat form of a scene, which has its objects as parallel lists, and what it is in the long form."""

from dataclasses import dataclass, field
from typing import Any

from engine.scene.reader import FieldPath

PARALLEL_LISTS = ("importance", "panning", "sound")
"""The keys beside `objects` that make the flat form, one entry for each label."""


SINGLE = "one sound for each label; a list of sounds goes into an object written as a mapping"


@dataclass(slots=True)
class LongForm:
    """Scene data in the long form, and the way back to what was written.

    `origins` maps the path of a long form value to the path it was written at, where these differ; `faults`
    holds (written path, what is wrong, what is allowed).
    """

    data: dict[str, Any]
    origins: dict[FieldPath, FieldPath] = field(default_factory=dict)
    faults: list[tuple[FieldPath, str, str]] = field(default_factory=list)


def long_form(data: dict[str, Any]) -> LongForm:
    """Turn `objects: [car], importance: [0.9]` into `objects: [{label: car, importance: 0.9}]`.

    Data is in the flat form if it has a parallel list, or objects of which one is text and none a mapping.
    Raises nothing.
    """
    form = LongForm(data)
    lists = {name: data[name] for name in PARALLEL_LISTS if name in data}
    labels = data.get("objects")
    mixed = isinstance(labels, list) and any(isinstance(label, dict) for label in labels)
    flat = isinstance(labels, list) and any(isinstance(label, str) for label in labels) and not mixed
    if not (lists or flat):
        return form
    form.data = {name: value for name, value in data.items() if name not in lists}
    if not isinstance(labels, list) or mixed:
        allowed = "write it inside each object" if mixed else "it goes with `objects`, a list of labels"
        form.faults += [((name,), f"{name} stands beside the objects", allowed) for name in lists]
        return form
    objects: list[dict[str, Any]] = [{"label": label} for label in labels]
    form.origins = {("objects", index, "label"): ("objects", index) for index in range(len(labels))}
    for name, values in lists.items():
        if not isinstance(values, list):
            form.faults.append(
                ((name,), f"{name} is not a list", f"one value for each of {len(labels)} objects")
            )
            continue
        if len(values) != len(labels):
            what = f"{name} has {len(values)} and objects {len(labels)} entries"
            form.faults.append(((name,), what, "one value for each object"))
        for index, (entry, value) in enumerate(zip(objects, values, strict=False)):
            if name == "sound" and isinstance(value, list):
                form.faults.append(((name, index), f"sound[{index}] is a list", SINGLE))
                continue
            entry[name] = value
            form.origins["objects", index, name] = (name, index)
    form.data["objects"] = objects
    return form
