"""A show that is edited without end, rendered in this process, and what must never be heard in it.

The programme is made of sines below 400 Hz, so that whatever is above 8 kHz is a step that an edit has made.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsp.denormals import denormals_flushed
from engine.control.local_engine import LocalEngine
from engine.control.stage import Stage
from engine.errors import InputError
from engine.params import ParamTable
from engine.scene.composition import Composition, Track
from engine.scene.material import Material
from engine.scene.schedule import Clip
from engine.scene.schema import Loop, Once, Random, Scene
from engine.spec import StreamSpec

RATE_HZ = 48_000
QUANTUM_FRAMES = 128
STEP_LIMIT = 1e-3
"""-60 dBFS."""
CUTOFF_HZ = 8000.0

TAME = {
    "level_db": (-90.0, -24.0),
    "threshold_db": (-20.0, 0.0),
    "ratio": (1.0, 3.0),
    "attack_ms": (10.0, 500.0),
    "release_ms": (100.0, 3000.0),
    "ceiling_db": (-3.0, 0.0),
}
"""What a storm keeps to, so that compressor and limiter make no harmonics of the sines that a step would drown in.

A hard knee bends every onset that crosses it, the more so the lower it lies and the larger the ratio is."""

_TAPS = 255
_SUBNORMAL = np.finfo(np.float32).tiny


def high_pass(cutoff_hz: float, rate_hz: int) -> NDArray[np.float64]:
    """Return a linear-phase high-pass of 255 taps (Blackman)."""
    n = np.arange(_TAPS) - _TAPS // 2
    low = np.sinc(2.0 * cutoff_hz / rate_hz * n) * np.blackman(_TAPS)
    taps = -low / low.sum()
    taps[_TAPS // 2] += 1.0
    return np.asarray(taps)


class StepMeter:
    """Finds steps in sounds without high frequencies: `heights` are those of steps that leave as much above 8 kHz.

    A bend of so much in one sample counts for 0.83 of a step of that height.
    """

    def __init__(self, rate_hz: int) -> None:
        taps = high_pass(CUTOFF_HZ, rate_hz)
        self._taps = taps / np.abs(np.cumsum(taps)).max()

    def heights(self, samples: NDArray[Any]) -> NDArray[np.float64]:
        """Return the height at every frame of `samples` (frames,) but the first and last 127."""
        return np.abs(np.convolve(samples, self._taps, "valid"))


class Tones:
    """Sounds to make scenes of: sines of 80 to 390 Hz, 0.6 to 2.5 s long, the same objects again and again."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.materials = []
        for number in range(12):
            frames = int(rng.uniform(0.6, 2.5) * RATE_HZ)
            wave = 0.1 * np.sin(2 * np.pi * rng.uniform(80, 390) * np.arange(frames) / RATE_HZ)
            samples = np.repeat(wave[:, None], 2, axis=1).astype(np.float32)
            self.materials.append(
                Material(f"tone{number}", f"tone{number}", samples, True, -23.0, "made here")
            )

    def scene(self, rng: np.random.Generator) -> Composition:
        """Return a composition of one to six tracks with a name each, drawn from ten names."""
        names = [f"tone {n}" for n in rng.permutation(10)[: rng.integers(1, 7)]]
        used = [int(n) for n in rng.integers(0, len(self.materials), len(names))]
        materials = tuple(self.materials[n] for n in dict.fromkeys(used))
        tracks = []
        for number, (name, which) in enumerate(zip(names, used, strict=True)):
            material = self.materials[which]
            schedule: Once | Loop | Random = Loop()
            if rng.random() < 0.4:
                schedule = Random(kind="random", gap=(0.0, 1.5))
            clip = Clip(materials.index(material), len(material.samples), 1.0, 0.0)
            tracks.append(
                Track(
                    number=number,
                    name=name,
                    importance=float(rng.random()),
                    yields="normal",
                    panning=float(rng.uniform(-1, 1)),
                    level_db=float(rng.uniform(-34, -24)),
                    send_db=0.0,
                    mono=True,
                    schedule=schedule,
                    clips=(clip,),
                )
            )
        room = {"room_detected": bool(rng.random() < 0.7), "room_size": float(rng.random())}
        scene = Scene.model_validate({"title": "tones", **room})
        return Composition(scene, int(rng.integers(4)), RATE_HZ, tuple(tracks), materials, RATE_HZ)


class EditedShow:
    """A stage on an engine in this process. `render` checks every sample of it; `faults` are what was found."""

    def __init__(self, seed: int, quantum_frames: int = QUANTUM_FRAMES) -> None:
        self.rng = np.random.default_rng(seed)
        self.tones = Tones(self.rng)
        self.engine = LocalEngine(StreamSpec(RATE_HZ, quantum_frames))
        self.refusals: list[str] = []
        self.stage = Stage(self.engine, RATE_HZ, lambda kind, text: self.refusals.append(text))
        self.stage.open(self.tones.scene(self.rng))
        self.quanta = 0
        self.non_finite = self.subnormal = 0
        self.largest_step = 0.0
        self.step_at = ""
        self.counts: dict[str, int] = {}
        self.last = "start"
        self._steps = StepMeter(RATE_HZ)
        self._past = np.zeros((_TAPS - 1, 2))
        self._block = np.zeros((quantum_frames, 2), np.float32)

    def render(self, quanta: int) -> None:
        """Render and check."""
        frames = len(self._block)
        out = np.empty((quanta * frames, 2), np.float32)
        with denormals_flushed():
            for n in range(quanta):
                self.engine.render(self._block)
                out[n * frames : (n + 1) * frames] = self._block
                if n % 8 == 0:
                    self._look_after()
        self.quanta += quanta
        self._check(out)

    def _look_after(self) -> None:
        for message in self.engine.poll():
            self.stage.take(message)
        self.stage.tick()

    def _check(self, out: NDArray[np.float32]) -> None:
        self.non_finite += int(np.count_nonzero(~np.isfinite(out)))
        self.subnormal += int(np.count_nonzero((out != 0.0) & (np.abs(out) < _SUBNORMAL)))
        samples = np.concatenate([self._past, out])
        self._past = samples[-(_TAPS - 1) :]
        for side in range(2):
            heights = self._steps.heights(samples[:, side])
            if heights.max() > self.largest_step:
                self.largest_step = float(heights.max())
                frame = self.engine.frame - len(out) + int(heights.argmax()) - _TAPS // 2
                self.step_at = f"frame {frame}, after {self.last}"

    # what is done to it -------------------------------------------------------------------------------------------

    def do(self, name: str) -> None:
        """Do one of `ACTIONS`."""
        self.last = name
        self.counts[name] = self.counts.get(name, 0) + 1
        ACTIONS[name](self)

    def go(self) -> None:
        """Cross over to another scene within 0 to 2 s."""
        try:
            self.stage.go(self.tones.scene(self.rng), int(self.rng.uniform(0.0, 2.0) * RATE_HZ))
        except InputError as error:
            self.refusals.append(str(error))

    def edit(self) -> None:
        """Make the scene another one of the same names."""
        self.stage.edit(self.tones.scene(self.rng))

    def pause(self) -> None:
        """Pause, or go on."""
        self.stage.play() if self.stage.newest.paused_at is not None else self.stage.pause()

    def seek(self) -> None:
        """Go to any place in the first minute."""
        self.stage.seek(int(self.rng.uniform(0, 60) * RATE_HZ))

    def storm(self) -> None:
        """Set fifty parameters to anything they allow that does not distort sines by itself."""
        table: ParamTable = self.stage.params
        names = list(table.rows)
        for place in self.rng.integers(0, len(names), 50):
            row = table.row(names[place])
            lo, hi = TAME.get(row.param.name, (row.param.lo, row.param.hi))
            value = float(self.rng.uniform(lo, hi))
            self.stage.set(row.name, round(value) if row.param.choices else value)


ACTIONS: dict[str, Callable[[EditedShow], None]] = {
    "go": EditedShow.go,
    "edit": EditedShow.edit,
    "pause": EditedShow.pause,
    "seek": EditedShow.seek,
    "storm": EditedShow.storm,
}
