"""JAMS files: what sounds when in a render, as annotations that other programs read.

Source    Humphrey, Salamon, Nieto, Forsyth, Bittner & Bello 2014, JAMS: a JSON Annotated Music Specification, ISMIR;
          the schema of version 0.3.4. Two annotations in the namespace `segment_open`, which takes any text as label:
          the events by their track, and the changes that placing made. What segments have no room for is in `sandbox`.
"""

from typing import Any

from dsp.units import amplitude_to_db
from engine.scene.composition import Composition

JAMS_VERSION = "0.3.4"


def jams(composition: Composition, version: str) -> dict[str, Any]:
    """Return the JAMS document of an arranged composition; `version` is the program's."""
    timeline = composition.arranged
    assert timeline is not None
    rate_hz, tracks = composition.rate_hz, composition.tracks
    events = timeline.events
    spans = [(e.start_frame, e.frames, tracks[e.track].name) for e in events]
    lengths = {(tracks[e.track].name, e.start_frame): e.frames for e in events}
    changes = [(d.start_frame, lengths.get((d.track, d.start_frame), 0), d) for d in timeline.decisions]
    details = [
        {
            "label": tracks[e.track].name,
            "source": composition.materials[e.clip].source,
            "source_time": e.offset_frames / rate_hz,
            "event_gain_db": round(amplitude_to_db(e.gain), 3) if e.gain > 0.0 else None,
            "level_lufs": round(tracks[e.track].level_db, 3),
            "role": "background" if tracks[e.track] is tracks[0] else "foreground",
        }
        for e in events
    ]
    return {
        "file_metadata": {
            "title": composition.scene.title,
            "artist": "",
            "release": "",
            "duration": timeline.end_frame / rate_hz,
            "identifiers": {},
            "jams_version": JAMS_VERSION,
        },
        "annotations": [
            _annotation(composition, version, [_segment(rate_hz, *s) for s in spans], {"events": details}),
            _annotation(
                composition,
                version,
                [_segment(rate_hz, start, frames, f"{d.track}: {d.what}") for start, frames, d in changes],
                {"decisions": [d.as_dict() for _, _, d in changes]},
            ),
        ],
        "sandbox": {"seed": composition.seed, "rate": rate_hz},
    }


def _segment(rate_hz: int, start_frame: int, frames: int, value: str) -> dict[str, Any]:
    return {"time": start_frame / rate_hz, "duration": frames / rate_hz, "value": value, "confidence": 1.0}


def _annotation(
    composition: Composition, version: str, data: list[dict[str, Any]], sandbox: dict[str, Any]
) -> dict[str, Any]:
    timeline = composition.arranged
    assert timeline is not None
    return {
        "namespace": "segment_open",
        "annotation_metadata": {
            "corpus": "",
            "version": version,
            "annotator": {},
            "annotation_tools": "roomtone",
            "annotation_rules": "",
            "validation": "",
            "data_source": "program",
        },
        "data": data,
        "sandbox": sandbox,
        "time": 0.0,
        "duration": timeline.end_frame / composition.rate_hz,
    }
