"""The fixed suite of scenes: each rendered by the engine itself, its tracks kept before and after unmasking.

The scenes were written once for what they depict and are not adjusted to any result. Those whose names begin with
`recorded-` are made of the recordings of sonic-pi (Debian's `sonic-pi-samples`), found through a library folder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.masking_score import IMPORTANT
from dsp.denormals import denormals_flushed
from dsp.masking import Masking
from dsp.unmask import Unmask
from engine.control.offline import OfflineEngine
from engine.control.patch import default_graph
from engine.errors import InputError, Problem
from engine.nodes.unmask import YIELDING
from engine.nodes.unmask import Unmask as UnmaskNode
from engine.scene.composition import Composition, compose
from engine.scene.load import load_scene
from engine.scene.schema import Scene
from engine.spec import QUANTA_FRAMES, StreamSpec

FOLDER = Path(__file__).resolve().parent / "scenes"
RECORDED = "recorded-"
RECORDINGS = Path("/usr/share/sonic-pi/samples")
"""Where Debian puts the recordings; another place is given as a library folder."""

RATE_HZ = 48_000
SECONDS = 12.0
QUANTUM_FRAMES = QUANTA_FRAMES[1] // 2

Samples = NDArray[np.float32]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Render:
    """A scene as the unmasking meets it: float32 `[frames, 2 T]` banks, lanes L0..LT-1 R0..RT-1."""

    name: str
    tracks: tuple[str, ...]
    importances: tuple[float, ...]
    yielding: tuple[float, ...]
    """Whether each track gives way, as `dsp.unmask.Unmask.yielding` has it."""
    before: Samples
    after: Samples
    """What the engine's own stage made of it, with its default settings."""

    @property
    def mono_before(self) -> Samples:
        """float32 `[T, frames]`: what the ear judges."""
        return mono(self.before)


@dataclass(frozen=True, eq=False)
class Run:
    """One pass of the unmasking: the bank after it, and what it did in every control period.

    `cut_db` float32 `[periods, T, 25]` is the combined cut, `target_db` of the same shape what was asked for.
    """

    after: Samples
    cut_db: NDArray[np.float32]
    target_db: NDArray[np.float32]
    period_frames: int


def scene_names() -> list[str]:
    """Return the names of the suite's scenes, procedural ones first."""
    names = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    return sorted(names, key=lambda name: name.startswith(RECORDED))


def missing(name: str, library: Sequence[Path] = ()) -> str:
    """Return why a scene cannot be rendered here, or nothing if it can."""
    if not name.startswith(RECORDED) or any(folder.is_dir() for folder in _libraries(library)):
        return ""
    return f"{name}: no recordings (apt install sonic-pi-samples, or --library FOLDER)"


def _libraries(library: Sequence[Path]) -> tuple[Path, ...]:
    return tuple(library) or (RECORDINGS,)


def compose_scene(name: str, library: Sequence[Path] = ()) -> Composition:
    """Compose a scene of the suite at 48 kHz with its own seed. Raises InputError for an unknown name."""
    # Placed without listening, so that what the unmasking has to do stays what it was.
    return compose(scene(name, library).model_copy(update={"placement": "free"}), rate_hz=RATE_HZ)


def scene(name: str, library: Sequence[Path] = ()) -> Scene:
    """Return a scene of the suite as it is written. Raises InputError for an unknown name."""
    if name not in scene_names():
        raise InputError(Problem(f'no scene of the suite is called "{name}"', ", ".join(scene_names())))
    return load_scene(FOLDER / f"{name}.yaml", library=_libraries(library))


def render(name: str, *, seconds: float = SECONDS, library: Sequence[Path] = ()) -> Render:
    """Render a scene of the suite with the engine and tap its tracks before and after unmasking."""
    return tapped(name, compose_scene(name, library), round(seconds * RATE_HZ))


def tapped(name: str, composition: Composition, frames: int) -> Render:
    """Render the finite form of a composition at 48 kHz and tap its tracks before and after unmasking."""
    spec = StreamSpec(RATE_HZ, QUANTUM_FRAMES)
    graph = default_graph(composition)
    node = graph.nodes["unmask"]
    if not isinstance(node, UnmaskNode):
        raise TypeError("the graph of a scene has no unmasking")
    engine = OfflineEngine(graph, composition, spec)
    before, after = (np.empty((frames, 2 * len(composition.tracks)), np.float32) for _ in range(2))
    done = 0
    for block in engine.play(composition, frames):
        heard = len(block)
        before[done : done + heard] = engine.plan.tap("trim.bank")[:heard]
        after[done : done + heard] = engine.plan.tap("unmask.bank")[:heard]
        done += heard
    return Render(
        name,
        node.tracks,
        node.importance,
        tuple(float(YIELDING.index(y)) for y in node.yields) or (1.0,) * len(node.tracks),
        before,
        after,
    )


@dataclass(frozen=True)
class Variant:
    """A way to set or to build the stage: attributes of `dsp.unmask.Unmask` and `dsp.masking.Masking`, and more.

    `look_ahead_ms` delays the sound against what is listened to (which the scores then take back). `flat` asks the
    tracks below importance 0.6 for the deepest cut in all bands all the time: the most that these bells can do.
    """

    settings: Mapping[str, float] = field(default_factory=dict)
    model: Mapping[str, float] = field(default_factory=dict)
    bells: int = 4
    q: float = 1.0
    look_ahead_ms: float = 0.0
    flat: bool = False


class FlatDemand(Masking):
    """Asks the tracks that are not important for everything, always."""

    def process(self, energy: Samples, peak: Samples, strength: float, max_cut_db: float) -> None:
        """Update `target_db`."""
        self.target_db[:] = np.where(self.importance < IMPORTANT, -max_cut_db, 0.0)[:, None]


AS_BUILT = Variant()


def unmask(scene: Render, variant: Variant = AS_BUILT) -> Run:
    """Run `dsp.unmask.Unmask` over the bank of a scene, as built by default: then the result is the engine's own.

    Raises AttributeError or TypeError for a name they lack.
    """
    tracks = len(scene.tracks)
    masking = FlatDemand(tracks) if variant.flat else Masking(tracks, **variant.model)
    stage = Unmask(tracks, RATE_HZ, QUANTUM_FRAMES, bells=variant.bells, q=variant.q, masking=masking)
    stage.importance[:] = scene.importances
    stage.yielding[:] = scene.yielding
    for name, value in variant.settings.items():
        getattr(stage, name)
        setattr(stage, name, value)
    return run_stage(stage, scene.before, round(variant.look_ahead_ms * 1e-3 * RATE_HZ))


def run_stage(stage: Unmask, bank: Samples, look_ahead_frames: int = 0) -> Run:
    """Run a stage over a bank, one control period at a time, and keep what it steered."""
    period, frames = stage.period_frames, len(bank)
    padding = np.zeros((look_ahead_frames, bank.shape[1]), np.float32)
    key, late = np.concatenate([bank, padding]), np.concatenate([padding, bank])
    after = np.empty_like(late)
    periods = -(-len(late) // period)
    cut_db = np.zeros((periods, stage.tracks, stage.target_db.shape[1]), np.float32)
    target_db = np.zeros_like(cut_db)
    with denormals_flushed():
        for index in range(periods):
            now = slice(index * period, min(len(late), (index + 1) * period))
            # What holds at the end of this period was steered before it began.
            cut_db[index], target_db[index] = stage.cut_db, stage.target_db
            stage.process(late[now], after[now], key[now])
    skipped = round(look_ahead_frames / period)
    wanted = -(-frames // period)
    after = np.ascontiguousarray(after[look_ahead_frames:])
    return Run(after, cut_db[skipped : skipped + wanted], target_db[skipped : skipped + wanted], period)


def mono(bank: Samples) -> Samples:
    """Return float32 `[T, frames]`, the mono sums of a bank `[frames, 2 T]`."""
    tracks = bank.shape[1] // 2
    return np.ascontiguousarray((0.5 * (bank[:, :tracks] + bank[:, tracks:])).T)
