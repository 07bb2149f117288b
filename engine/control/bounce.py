"""Rendering a scene to memory and to files, as fast as it goes, through the very renderer that plays live.

A render with an end is rendered twice: first to find the gain that brings it to its loudness.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dsp.loudness import LoudnessMeter
from dsp.true_peak import TruePeakMeter
from dsp.units import SILENCE_DB, ms_to_frames
from engine.control.loudness import TOLERANCE_LU, find_gain
from engine.control.offline import OfflineEngine, Progress, length_frames, offline_quantum
from engine.control.patch import StemTaps, add_stem_taps, default_graph
from engine.control.stems import StemWriters
from engine.control.take import Take
from engine.errors import InputError, Problem
from engine.media import AudioWriter
from engine.rendering import Plan
from engine.scene.composition import Composition
from engine.spec import Block, StreamSpec

END_FADE_MS = 20.0
"""The fade at the end of a render, inside its length, so that a tail is never cut with a click."""


@dataclass(frozen=True)
class Bounce:
    """What a render came to. `samples` is float32 `[frames, 2]`, or None if it was only written to files.

    `loudness_gain_db` is the gain at the end that brought it to `target_lufs`; both are None where it was left alone.
    """

    composition: Composition
    spec: StreamSpec
    frames: int
    sha256: str
    integrated_lufs: float
    momentary_max_lufs: float
    short_term_max_lufs: float
    loudness_range_lu: float
    true_peak_dbtp: float
    target_lufs: float | None
    loudness_gain_db: float | None
    loudness_note: str
    realtime_factor: float
    events: tuple[tuple[Any, ...], ...]
    faults: tuple[str, ...]
    samples: NDArray[np.float32] | None

    def report(self) -> dict[str, Any]:
        """Return the figures as `roomtone render --json` prints them."""
        c = self.composition
        sources = [m.source for m in c.materials]
        tracks: list[dict[str, Any]] = [
            {
                "label": t.name,
                "source": sources[t.clips[0].number] if t.clips else None,
                "retrieval": asdict(c.found[t.number]) if t.number in c.found else None,
                "events": [],
            }
            for t in c.tracks
        ]
        for event in self.events:
            start, track, clip, _, frames, *_ = event
            if start < self.frames:
                # An endless event goes on beyond the end; what is reported is what was rendered.
                heard = min(frames, self.frames - start)
                row = {"start_frame": start, "frames": heard, "source": sources[clip]}
                tracks[track]["events"].append(row)
        return {
            "scene": c.scene.title,
            "seed": c.seed,
            "rate": self.spec.rate_hz,
            "quantum": self.spec.quantum_frames,
            "frames": self.frames,
            "sha256": self.sha256,
            "integrated_lufs": round(self.integrated_lufs, 2),
            "momentary_max_lufs": round(self.momentary_max_lufs, 2),
            "short_term_max_lufs": round(self.short_term_max_lufs, 2),
            "loudness_range_lu": round(self.loudness_range_lu, 2),
            "true_peak_dbtp": round(self.true_peak_dbtp, 2),
            "loudness_target_lufs": self.target_lufs,
            "loudness_gain_db": None if self.loudness_gain_db is None else round(self.loudness_gain_db, 2),
            "loudness_note": self.loudness_note,
            "realtime_factor": round(self.realtime_factor, 1),
            "tracks": tracks,
            "faults": list(self.faults),
            "credits": sorted({f"{m.name}: {m.credit}" for m in c.materials}),
        }


class Observer(Protocol):
    """Looks at the engine after every quantum of a render."""

    @property
    def longest_quantum_frames(self) -> int:
        """With quanta of up to so many frames it sees everything."""

    def watch(self, engine: OfflineEngine, end_frame: int) -> None:
        """Read what is to be read, now that the render has come to `end_frame`."""

    def finish(self) -> None:
        """Do what is left to do after the last quantum, before any file gets its name."""


def bounce(
    composition: Composition,
    *,
    output: Path | None = None,
    stems: Path | None = None,
    duration_s: float | None = None,
    endless: bool = False,
    quantum_frames: int | None = None,
    keep_samples: bool = True,
    progress: Progress | None = None,
    measuring: Progress | None = None,
    observers: Sequence[Observer] = (),
    settings: Mapping[str, float | str] | None = None,
    take: Take | None = None,
) -> Bounce:
    """Render `composition`, to `output` (.wav or .flac) and `stems` (a folder) where given.

    The finite form is as long as the scene says, or `duration_s`. `endless` renders the first `duration_s` seconds
    of what `roomtone play` plays, sample for sample, without a fade at the end. The quantum, by default the fastest,
    changes nothing in the samples, but for the rounding of a room's impulse response, with which it is by default that
    of `roomtone play`; it is shorter where one of the `observers` would miss something. `settings` are values of
    parameters from the first sample on, instead of the scene's. With a `take` it is rendered what was played then, with
    every move and the fade at the end, by default at its quantum; another must divide that.

    The finite form is brought to its loudness by a gain that is measured beforehand: it is rendered once for that, told
    to `measuring`, seldom more often. The endless form has the predicted gain and the trim that it is played with.

    Raises InputError for a duration that is missing or out of range, for a quantum that won't do and for stems of
    another render in the folder, ParamError for a setting, SoundError for a file name that won't do, RoomtoneError for
    a full disk; then no file is left.
    """
    if take is not None:
        quantum_frames = _quantum_of(take, quantum_frames)
    if quantum_frames is None:
        # A convolution rounds otherwise at another quantum: then it is that of `roomtone play`.
        live = StreamSpec().quantum_frames
        quantum_frames = offline_quantum(len(composition.tracks)) if composition.impulse is None else live
    if observers:
        longest = min(quantum_frames, *(o.longest_quantum_frames for o in observers))
        # The moves of a take come between its quanta.
        quantum_frames = longest if take is None else _divisor(take.quantum, longest)
    spec = StreamSpec(composition.rate_hz, quantum_frames)
    frames = length_frames(composition, duration_s, endless) if take is None else take.frames
    if take is None and not endless:
        composition = composition.finite(frames)
    finite = (
        _Finite(composition, spec, frames, settings or {}, measuring)
        if take is None and not endless
        else None
    )
    kept: list[Block] = []
    sink = _Sink(spec)
    started_s = time.perf_counter()
    with ExitStack() as stack:
        # What cannot be written is to be told before anything is measured.
        if output is not None:
            composition.spare(output)
            sink.writer = stack.enter_context(AudioWriter(output, spec.rate_hz))
        if stems is not None:
            sink.stems = stack.enter_context(StemWriters(stems, composition, StemTaps(), spec.rate_hz))
        graph = default_graph(composition, finite.gain_db() if finite else None)
        if stems is not None:
            add_stem_taps(graph)
        engine = OfflineEngine(graph, composition, spec)
        for name, value in (settings or {}).items():
            engine.params.set(name, value)
        if finite is not None:
            finite.end(engine)
        elif take is not None and take.fade is not None and take.fade.frame is not None:
            engine.renderer.stop(take.fade.frames, take.fade.frame)
        done = 0
        replay = take.replay() if take is not None else None
        for block in engine.play(composition, frames, endless=endless, replay=replay, progress=progress):
            done += len(block)
            sink.take(block, engine.plan)
            if keep_samples:
                kept.append(block.copy())
            for observer in observers:
                observer.watch(engine, done)
        elapsed_s = time.perf_counter() - started_s
        sink.finish()
        for observer in observers:
            observer.finish()
    target_lufs = engine.params.get(TARGET) if TARGET in engine.params.rows else None
    gain_db = None if target_lufs is None else float(engine.meters.read("loudness", "gain_db")[0])
    loudness = sink.loudness
    note = "" if finite is None or target_lufs is None else _note(loudness.integrated_lufs, target_lufs)
    return Bounce(
        composition,
        spec,
        frames,
        sink.digest.hexdigest(),
        loudness.integrated_lufs,
        loudness.momentary_max_lufs,
        loudness.short_term_max_lufs,
        loudness.range_lu,
        sink.true_peak.dbtp,
        target_lufs,
        gain_db,
        note,
        frames / spec.rate_hz / max(elapsed_s, 1e-9),
        tuple(engine.log),
        engine.faults.told(),
        np.concatenate(kept) if keep_samples else None,
    )


class _Finite:
    """A render with an end: how it ends, and the gain that brings it to its loudness."""

    def __init__(
        self,
        composition: Composition,
        spec: StreamSpec,
        frames: int,
        settings: Mapping[str, float | str],
        progress: Progress | None,
    ) -> None:
        self._composition = composition
        self._spec = spec
        self._frames = frames
        self._settings = settings
        self._progress = progress

    def end(self, engine: OfflineEngine) -> None:
        """Have `engine` fade out at the end."""
        fade = min(self._frames, ms_to_frames(END_FADE_MS, self._spec.rate_hz))
        engine.renderer.stop(fade, self._frames - fade)

    def gain_db(self) -> float | None:
        """Return the gain to render it with; None where its loudness is left as it is. Raises ParamError."""
        scene_lufs, expected_lufs = self._composition.scene.loudness, self._composition.expected_lufs
        if scene_lufs is None:
            return None
        target_lufs = self._engine_at(0.0).params.get(TARGET)
        first_db = 0.0 if expected_lufs is None else target_lufs - expected_lufs
        # The graph's gain is that at the scene's own target, from which a setting may move it.
        moved_db = target_lufs - scene_lufs
        return find_gain(lambda gain_db: self._loudness(gain_db - moved_db), target_lufs, first_db) - moved_db

    def _engine_at(self, gain_db: float) -> OfflineEngine:
        engine = OfflineEngine(default_graph(self._composition, gain_db), self._composition, self._spec)
        for name, value in self._settings.items():
            engine.params.set(name, value)
        self.end(engine)
        return engine

    def _loudness(self, gain_db: float) -> float:
        meter = LoudnessMeter(self._spec.rate_hz)
        for block in self._engine_at(gain_db).play(self._composition, self._frames, progress=self._progress):
            meter.process(block)
        return meter.integrated_lufs


def _note(integrated_lufs: float, target_lufs: float) -> str:
    """Return why a render is not as loud as it is to be, if it is not."""
    missing = target_lufs - integrated_lufs
    if abs(missing) <= TOLERANCE_LU:
        return ""
    if integrated_lufs <= SILENCE_DB:
        return "too short or too quiet to be measured"
    if missing > 0.0:
        return (
            f"{missing:.1f} LU below the target: its peaks are at the limiter's ceiling, or its gain at 40 dB"
        )
    return f"{-missing:.1f} LU above the target"


def _quantum_of(take: Take, asked: int | None) -> int:
    """Return the quantum in which a take can be rendered: moves come between quanta only."""
    if asked is not None and take.quantum % asked:
        raise InputError(Problem(f"{asked} frames", f"must divide the {take.quantum} of the take", "quantum"))
    return take.quantum if asked is None else asked


def _divisor(quantum_frames: int, most: int) -> int:
    """Return the largest divisor of a quantum that is no more than `most`."""
    return next(frames for frames in range(most, 0, -1) if quantum_frames % frames == 0)


TARGET = "loudness.target_lufs"

WRITE_FRAMES = 4096
"""How much is gathered before it is hashed, measured and written."""


class _Sink:
    """Where rendered frames go: the hash, the meters, the files."""

    def __init__(self, spec: StreamSpec) -> None:
        self.digest = hashlib.sha256()
        self.loudness = LoudnessMeter(spec.rate_hz)
        self.true_peak = TruePeakMeter(spec.rate_hz)
        self.writer: AudioWriter | None = None
        self.stems: StemWriters | None = None
        self._room = np.zeros((WRITE_FRAMES + spec.quantum_frames, 2), np.float32)
        self._filled = 0

    def take(self, block: Block, plan: Plan) -> None:
        """Add one quantum."""
        heard = len(block)
        self._room[self._filled : self._filled + heard] = block
        self._filled += heard
        if self._filled >= WRITE_FRAMES:
            self._flush()
        if self.stems:
            self.stems.write(plan, block)

    def finish(self) -> None:
        """Write what is left, and the silence the true-peak filter needs to see the last frames."""
        self._flush()
        self.true_peak.process(np.zeros((64, 2), np.float32))

    def _flush(self) -> None:
        frames = self._room[: self._filled]
        self.digest.update(frames.astype("<f4", copy=False).tobytes())
        self.loudness.process(frames)
        self.true_peak.process(frames)
        if self.writer:
            self.writer.write(frames)
        self._filled = 0
