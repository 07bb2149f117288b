"""The tracks of a scene apart, before and after unmasking, rendered in memory."""

from collections.abc import Callable

from engine.control.offline import OfflineEngine, Progress, length_frames, offline_quantum
from engine.control.patch import add_stem_taps, default_graph
from engine.scene.composition import Composition
from engine.spec import Block, StreamSpec

Take = Callable[[Block, Block], None]
"""Called with the banks before and after unmasking, float32 `[n, 2 T]`, panned as in the mix; valid during the call."""


def render_tracks(
    composition: Composition, take: Take, *, duration_s: float | None = None, progress: Progress | None = None
) -> tuple[str, ...]:
    """Give every quantum of what `bounce(stems=…)` writes to pre/ and post/ to `take`; return the faults there were.

    Raises InputError for a duration out of range.
    """
    spec = StreamSpec(composition.rate_hz, offline_quantum(len(composition.tracks)))
    frames = length_frames(composition, duration_s)
    graph = default_graph(composition)
    taps = add_stem_taps(graph)
    engine = OfflineEngine(graph, composition, spec)
    for block in engine.play(composition, frames, progress=progress):
        heard = len(block)
        take(engine.plan.tap(taps.pre)[:heard], engine.plan.tap(taps.post)[:heard])
    return engine.faults.told()
