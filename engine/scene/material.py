"""Sounds made ready to play: decoded or synthesised, as stereo clips, with what the mix has to know of them."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dsp.clip_loudness import measure_clip
from dsp.units import SILENCE_DB
from engine.errors import Problem, SceneError, SoundError
from engine.learn.mix_settings import MixSettings
from engine.media import decode, resample
from engine.scene.energy import ENERGY_VERSION, Energy, energy_of
from engine.scene.feature_store import FeatureStore, content_hash
from engine.scene.kept_sounds import kept
from engine.scene.sounds import FileSound, SynthSound
from engine.scene.trim import TRIM_VERSION, trimmed
from engine.scene.variation import percent

SYNTH_RATE_HZ = 22_050
"""For a stream below this rate a procedural sound is made at twice it, and resampled."""

SYNTH_CREDIT = "roomtone procedural library"
MIN_LOUDNESS_LUFS = -90.0
"""Below this a sound counts as silent: bringing it up to level would play its noise floor."""

Progress = Callable[[str, int, int], None]
"""Called as (what is being prepared, how many are done, how many there are)."""


@dataclass(frozen=True, eq=False)
class Material:
    """One clip: float32 `[frames, 2]`, the loudness of its active part in LUFS, its energy, and where it came from.

    `name` is the sound as the scene has it; `source` adds `#2` and so on for further soundings of it, and
    `@+1.5%` for one at another rate.
    A mono sound plays the same on both lanes and says so, because mono and stereo are panned differently. `origin` is
    all that it was made from: materials of equal origin are the same. `powers` are K-weighted, one for every 100 ms.
    `given` is the origin of the sound before it went through filters, and `settings` is what is predicted of that.
    """

    name: str
    source: str
    samples: NDArray[np.float32]
    mono: bool
    loudness_lufs: float
    credit: str
    path: Path | None = None
    origin: tuple[object, ...] | None = None
    energy: Energy | None = None
    powers: NDArray[np.float64] | None = None
    given: tuple[object, ...] | None = None
    settings: MixSettings | None = None


def origin_of(
    sound: SynthSound | FileSound, source: str, rate_hz: int, seed: int, whole: bool = False
) -> tuple[object, ...] | None:
    """Return what a material would be made from; None for a file that cannot be looked at."""
    if isinstance(sound, SynthSound):
        return sound.name, source, rate_hz, seed, whole
    try:
        status = sound.path.stat()
    except OSError:
        return None
    return sound.path, source, rate_hz, status.st_mtime_ns, status.st_size, whole


def from_file(sound: FileSound, source: str, rate_hz: int, whole: bool = False) -> Material:
    """Decode a file, and trim it unless it is to be `whole`; raises SoundError if it cannot be used or is silent."""
    samples = decode(sound.path, rate_hz)
    samples = samples if whole else trimmed(samples, rate_hz)
    made = _finish(samples, source, source, rate_hz, _file_credit(sound.path))
    return replace(made, path=sound.path, energy=_energy_of_file(sound.path, made, rate_hz))


def from_synth(sound: SynthSound, source: str, rate_hz: int, seed: int, whole: bool = False) -> Material:
    """Synthesise the sound at its natural length; a `source` of another name is another sounding of it.

    It is trimmed unless it is to be `whole`.

    What was made before is read from the user's cache folder.
    """
    sub_seed = int(np.random.SeedSequence([seed, zlib.crc32(source.encode())]).generate_state(1)[0])

    made_at_hz = rate_hz if rate_hz >= SYNTH_RATE_HZ else 2 * SYNTH_RATE_HZ

    def make() -> NDArray[np.float32]:
        from dsp.synth import synthesise

        made = resample(synthesise(sound.name, rate_hz=made_at_hz, seed=sub_seed), made_at_hz, rate_hz)
        return made if whole else trimmed(made, rate_hz)

    made_from = sound.name, sub_seed, made_at_hz, rate_hz, "whole" if whole else f"trim {TRIM_VERSION}"
    made = _finish(kept(make, *made_from), f"synth:{sound.name}", source, rate_hz, SYNTH_CREDIT)

    def measure() -> NDArray[np.float32]:
        return energy_of(made.samples, rate_hz, made.loudness_lufs).as_array()

    frames = len(made.samples)
    energy = kept(measure, *made_from, f"energy {ENERGY_VERSION} of {frames} frames")
    return replace(made, energy=Energy.from_array(energy))


def at_rate(material: Material, rate: float, rate_hz: int) -> Material:
    """Return a sounding that is played `rate` times as fast, and as much higher: as loud, and with the same energy.

    That of a procedural sound is kept in the user's cache folder.
    """
    samples = material.samples[:, :1] if material.mono else material.samples

    def make() -> NDArray[np.float32]:
        return resample(np.ascontiguousarray(samples), rate_hz * rate, rate_hz)

    procedural = material.path is None and material.origin is not None
    made = kept(make, f"{material.origin} trim {TRIM_VERSION} at {rate!r}") if procedural else make()
    return replace(
        material,
        source=f"{material.source}@{percent(rate)}",
        samples=on_both_lanes(made) if material.mono else made,
        origin=None if material.origin is None else (*material.origin, rate),
    )


def _finish(samples: NDArray[np.float32], name: str, source: str, rate_hz: int, credit: str) -> Material:
    loudness, powers = measure_clip(samples, rate_hz)
    if loudness <= max(MIN_LOUDNESS_LUFS, SILENCE_DB):
        raise SoundError(Problem("is silent", "must have something to hear"))
    mono = samples.shape[1] == 1
    stereo = on_both_lanes(samples) if mono else samples
    return Material(name, source, np.ascontiguousarray(stereo), mono, loudness, credit, powers=powers)


def on_both_lanes(mono: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return float32 `[frames, 1]` as `[frames, 2]`, in a fifth of the time that `np.repeat` takes."""
    stereo = np.empty((len(mono), 2), np.float32)
    stereo[:] = mono
    return stereo


def _energy_of_file(path: Path, made: Material, rate_hz: int) -> Energy:
    """Return the energy of a file's sound, as it was measured before of the same content."""
    kind, store = f"energy of {len(made.samples)} frames at {rate_hz} Hz", FeatureStore()
    try:
        content = content_hash(path)
    except OSError:
        content = ""
    found = store.get(content, kind, ENERGY_VERSION) if content else None
    try:
        return Energy.from_array(np.array((found or {})["bands"], np.float32))
    except (KeyError, ValueError, TypeError):
        energy = energy_of(made.samples, rate_hz, made.loudness_lufs).as_array()
        if content:
            store.put(content, kind, ENERGY_VERSION, {"bands": energy.tolist()})
        return Energy.from_array(energy)


def _file_credit(path: Path) -> str:
    """Return what stands in `NAME.credit.txt` beside the file, else the credit of its sidecar, else its name."""
    try:
        lines: Sequence[str] = path.with_suffix(".credit.txt").read_text("utf-8").split("\n")
        if told := lines[0].strip():
            return told
    except (OSError, UnicodeDecodeError):
        pass
    return _sidecar_credit(path.with_suffix(".yaml")) or path.name


def _sidecar_credit(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return ""
    # Imported late: few sounds have one.
    from engine.scene.sidecar import read_sidecar

    try:
        sidecar = read_sidecar(path)
    except SceneError:
        return ""
    return ", ".join(filter(None, (sidecar.credit, sidecar.licence)))
