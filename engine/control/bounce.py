"""Rendering a scene to memory and to files, as fast as it goes, through the very renderer that plays live."""

import hashlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsp.denormals import denormals_flushed
from dsp.loudness import LoudnessMeter
from dsp.true_peak import TruePeakMeter
from dsp.units import ms_to_frames, seconds_to_frames
from engine.clips import ClipStore
from engine.control.feeder import Feeder
from engine.control.patch import StemTaps, add_stem_taps, default_graph
from engine.errors import InputError, Problem
from engine.events import EventQueue
from engine.media import AudioWriter
from engine.messages import Fault
from engine.meters import MeterTable
from engine.node import BuildContext
from engine.params import ParamTable
from engine.rendering import Graph, Plan, Renderer, compile_plan
from engine.scene.composition import Composition
from engine.spec import QUANTA_FRAMES, Block, StreamSpec

END_FADE_MS = 20.0
"""The fade at the end of a render, inside its length, so that a tail is never cut with a click."""

MAX_DURATION_S = 86_400.0

MAX_FAULTS = 100
"""How many faults are reported one by one."""

LARGEST_BANK_BYTES = 512 * 1024
"""How large a bank's block may be: about what stays in a core's own cache."""

Progress = Callable[[int, int], None]
"""Called as (frames rendered, frames in all)."""


@dataclass(frozen=True)
class Bounce:
    """What a render came to. `samples` is float32 `[frames, 2]`, or None if it was only written to files."""

    composition: Composition
    spec: StreamSpec
    frames: int
    sha256: str
    integrated_lufs: float
    true_peak_dbtp: float
    realtime_factor: float
    events: tuple[tuple[Any, ...], ...]
    faults: tuple[str, ...]
    samples: NDArray[np.float32] | None

    def report(self) -> dict[str, Any]:
        """Return the figures as `roomtone render --json` prints them."""
        c = self.composition
        sources = [m.source for m in c.materials]
        tracks: list[dict[str, Any]] = [{"label": t.name, "events": []} for t in c.tracks]
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
            "true_peak_dbtp": round(self.true_peak_dbtp, 2),
            "realtime_factor": round(self.realtime_factor, 1),
            "tracks": tracks,
            "faults": list(self.faults),
            "credits": sorted({f"{m.name}: {m.credit}" for m in c.materials}),
        }


class OfflineEngine:
    """A renderer with everything it needs, in this process: what the engine process is when played live."""

    def __init__(self, graph: Graph, composition: Composition, spec: StreamSpec) -> None:
        self.clips = ClipStore()
        for number, material in enumerate(composition.materials):
            self.clips.add(number, material.samples)
        self.events = EventQueue()
        self.params = ParamTable.of(graph.params())
        self.meters = MeterTable.of(graph.meters())
        self._spec = spec
        self._snapshot = self.params.memory.copy()
        self.renderer = Renderer(spec, self.params.memory, self._snapshot)
        self.plan = self.swap(graph)

    def swap(self, graph: Graph) -> Plan:
        """Play `graph` from the next quantum on; values of parameters that stay are kept."""
        self.params = ParamTable.of(graph.params(), previous=self.params)
        self.meters = MeterTable.of(graph.meters(), previous=self.meters)
        self._snapshot[:] = self.params.memory
        ctx = BuildContext(
            "",
            self._spec,
            self.clips,
            self.events,
            self.params.slot_map,
            self._snapshot,
            self.meters.slot_map,
            self.meters.memory,
        )
        self.plan = compile_plan(graph, ctx, self.renderer.newest_plan)
        self.renderer.swap(self.plan)
        return self.plan


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
) -> Bounce:
    """Render `composition`, to `output` (.wav or .flac) and `stems` (a folder) where given.

    The finite form is as long as the scene says, or `duration_s`. `endless` renders the first `duration_s` seconds
    of what `roomtone play` plays, sample for sample, without a fade at the end. The quantum, by default the fastest,
    changes nothing in the samples. Raises InputError for a duration that is missing or out of range and for a quantum
    out of range, SoundError for a file name that won't do, RoomtoneError for a full disk; then no file is left.
    """
    if quantum_frames is None:
        quantum_frames = offline_quantum(len(composition.tracks))
    spec = StreamSpec(composition.rate_hz, quantum_frames)
    frames = _length(composition, duration_s, endless)
    graph = default_graph(composition)
    taps = add_stem_taps(graph) if stems is not None else None
    engine = OfflineEngine(graph, composition, spec)
    feeder = Feeder(
        composition.timeline(None if endless else frames), engine.events, spec.rate_hz, keep_log=True
    )
    if not endless:
        fade = min(frames, ms_to_frames(END_FADE_MS, spec.rate_hz))
        engine.renderer.stop(fade, frames - fade)
    kept: list[Block] = []
    sink = _Sink(spec)
    faults = _Faults()
    started_s = time.perf_counter()
    with ExitStack() as stack:
        stack.enter_context(denormals_flushed())
        if output is not None:
            composition.spare(output)
            sink.writer = stack.enter_context(AudioWriter(output, spec.rate_hz))
        if stems is not None and taps is not None:
            sink.stems = stack.enter_context(_StemWriters(stems, composition, taps, spec.rate_hz))
        block = np.zeros((spec.quantum_frames, 2), np.float32)
        for frame in range(0, frames, spec.quantum_frames):
            feeder.feed(frame)
            engine.renderer.render(block)
            faults.take(engine.renderer.faults)
            heard = min(spec.quantum_frames, frames - frame)
            sink.take(block[:heard], engine.plan, heard)
            if keep_samples:
                kept.append(block[:heard].copy())
            if progress:
                progress(frame + heard, frames)
        elapsed_s = time.perf_counter() - started_s
        sink.finish()
    return Bounce(
        composition,
        spec,
        frames,
        sink.digest.hexdigest(),
        sink.loudness.integrated_lufs,
        sink.true_peak.dbtp,
        frames / spec.rate_hz / max(elapsed_s, 1e-9),
        tuple(feeder.log),
        faults.told(),
        np.concatenate(kept) if keep_samples else None,
    )


class _Faults:
    """The first faults of a render and the number of the others: a node that fails may fail in every quantum."""

    def __init__(self) -> None:
        self._first: list[str] = []
        self._more = 0

    def take(self, faults: deque[Fault]) -> None:
        """Empty `faults`."""
        while faults:
            fault = faults.popleft()
            if len(self._first) < MAX_FAULTS:
                self._first.append(f"{fault.node} at frame {fault.frame}: {fault.what}")
            else:
                self._more += 1

    def told(self) -> tuple[str, ...]:
        """Return the faults as the report lists them."""
        return (*self._first, f"and {self._more} more") if self._more else tuple(self._first)


def offline_quantum(tracks: int) -> int:
    """Return the fastest quantum where nobody waits for it; the samples are the same at every one."""
    quantum = QUANTA_FRAMES[1]
    while quantum > 128 and quantum * 2 * tracks * 4 > LARGEST_BANK_BYTES:
        quantum //= 2
    return quantum


def _length(composition: Composition, duration_s: float | None, endless: bool) -> int:
    if duration_s is None:
        if endless:
            raise InputError(Problem("an endless render has no end", "give --duration SECONDS", "duration"))
        return composition.duration_frames
    if not 0.0 < duration_s <= MAX_DURATION_S:
        raise InputError(
            Problem(f"{duration_s:g} seconds", f"more than 0, at most {MAX_DURATION_S:g}", "duration")
        )
    return max(1, seconds_to_frames(duration_s, composition.rate_hz))


WRITE_FRAMES = 4096
"""How much is gathered before it is hashed, measured and written."""


class _Sink:
    """Where rendered frames go: the hash, the meters, the files."""

    def __init__(self, spec: StreamSpec) -> None:
        self.digest = hashlib.sha256()
        self.loudness = LoudnessMeter(spec.rate_hz)
        self.true_peak = TruePeakMeter(spec.rate_hz)
        self.writer: AudioWriter | None = None
        self.stems: _StemWriters | None = None
        self._room = np.zeros((WRITE_FRAMES + spec.quantum_frames, 2), np.float32)
        self._filled = 0

    def take(self, block: Block, plan: Plan, heard: int) -> None:
        """Add one quantum."""
        self._room[self._filled : self._filled + heard] = block
        self._filled += heard
        if self._filled >= WRITE_FRAMES:
            self._flush()
        if self.stems:
            self.stems.write(plan, heard, block)

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


class _StemWriters:
    """One file a track before and one after unmasking, the room's return, and what the master made of the sum."""

    def __init__(self, folder: Path, composition: Composition, taps: StemTaps, rate_hz: int) -> None:
        self._folder = folder
        self._taps = taps
        self._has_room = composition.scene.room.detected
        self._composition = composition
        self._names = [t.name for t in composition.tracks]
        self._rate_hz = rate_hz
        self._stack = ExitStack()

    def __enter__(self) -> "_StemWriters":
        try:
            for part in ("pre", "post"):
                (self._folder / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                Problem(
                    f"cannot be made ({error.strerror})", "a folder for the stems", file=str(self._folder)
                )
            ) from None
        with ExitStack() as opening:
            opening.push(self._tidy)
            files = file_names(self._names)
            self._pre = [opening.enter_context(self._file("pre", name)) for name in files]
            self._post = [opening.enter_context(self._file("post", name)) for name in files]
            self._buses = [opening.enter_context(self._file("", n)) for n in ("room", "premaster", "master")]
            self._stack = opening.pop_all()
        return self

    def __exit__(self, *details: Any) -> None:
        self._stack.__exit__(*details)

    def _tidy(self, kind: type[BaseException] | None, *_: Any) -> None:
        """Remove the folders that nothing was written to."""
        if kind is not None:
            for part in ("pre", "post", ""):
                with suppress(OSError):
                    (self._folder / part).rmdir()

    def _file(self, part: str, name: str) -> AudioWriter:
        path = self._folder / part / f"{name}.wav"
        self._composition.spare(path)
        return AudioWriter(path, self._rate_hz)

    def write(self, plan: Plan, heard: int, master: Block) -> None:
        """Write one quantum of every stem."""
        pre, post = plan.tap(self._taps.pre)[:heard], plan.tap(self._taps.post)[:heard]
        tracks = len(self._names)
        for t in range(tracks):
            self._pre[t].write(pre[:, t::tracks])
            self._post[t].write(post[:, t::tracks])
        dry = plan.tap("mix.dry")[:heard]
        wet = plan.tap(self._taps.room)[:heard] if self._has_room else np.zeros_like(dry)
        for writer, bus in zip(self._buses, (wet, dry + wet, master), strict=True):
            writer.write(bus)


def file_names(tracks: Sequence[str]) -> list[str]:
    """Return one file name (without suffix) a track: its name with everything but word characters as `_`."""
    names: list[str] = []
    for track in tracks:
        stem = "".join(c if c.isalnum() or c in "-_" else "_" for c in track) or "track"
        name, count = stem, 1
        while name.lower() in (n.lower() for n in names):
            count += 1
            name = f"{stem}_{count}"
        names.append(name)
    return names
