"""`engine.render`: a scene to samples, and to a file, in one call."""

from pathlib import Path

from engine.control.bounce import Bounce, bounce
from engine.scene.composition import compose
from engine.scene.schema import Scene


def render(
    scene: Scene,
    output: Path | str | None = None,
    *,
    seed: int | None = None,
    duration_s: float | None = None,
    endless: bool = False,
    rate_hz: int = 48_000,
    quantum_frames: int | None = None,
    stems: Path | str | None = None,
) -> Bounce:
    """Render `scene` as fast as it goes; the result holds the samples, float32 `[frames, 2]`, and the figures.

    `output` is a .wav or .flac file to write, `stems` a folder for every track apart. `endless` with `duration_s`
    gives the first seconds of what `Show` plays; the quantum changes nothing but the speed. Raises InputError
    (SoundError, SceneError) for what cannot be used, RoomtoneError for a full disk; then no file is left.
    """
    composition = compose(scene, rate_hz=rate_hz, seed=seed)
    return bounce(
        composition,
        output=Path(output) if output is not None else None,
        stems=Path(stems) if stems is not None else None,
        duration_s=duration_s,
        endless=endless,
        quantum_frames=quantum_frames,
    )
