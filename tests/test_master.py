"""What leaves the master is as loud as it is to be, keeps the ceiling, and is the same live and rendered."""

import math
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import presets
from engine.control.bounce import Bounce, bounce
from engine.control.local_engine import LocalEngine
from engine.control.loudness import MOST_PASSES, find_gain
from engine.control.stage import Stage
from engine.errors import InputError
from engine.scene.composition import Composition, compose
from engine.scene.load import loads
from engine.spec import StreamSpec
from tests.scenes import SMALL, built_in, small

RATE_HZ = 48_000
TARGET = "loudness.target_lufs"
SOUNDS = ("bell", "bird", "car", "door", "footsteps", "kettle", "frog", "crickets")


def random_scene(seed: int) -> Composition:
    """A scene of 2 to 6 procedural sounds, with every level, place, schedule and room drawn."""
    draw = np.random.default_rng(seed)
    objects = []
    for sound in draw.choice(SOUNDS, draw.integers(2, 7), replace=False):
        gap = sorted(float(gap) for gap in draw.uniform(0.2, 6.0, 2))
        schedule = ({"kind": "once"}, {"kind": "loop"}, {"kind": "random", "gap": gap})[draw.integers(3)]
        objects.append(
            f"{{label: {sound}, sound: 'synth:{sound}', importance: {draw.random():.2f}, "
            f"panning: {draw.uniform(-1, 1):.2f}, gain_db: {draw.uniform(-12, 9):.1f}, schedule: {schedule}}}"
        )
    indoors = bool(draw.integers(2))
    text = (
        f"seed: {seed}\nroom_detected: {str(indoors).lower()}\nroom_size: {draw.random():.2f}\n"
        f"wet_level: {draw.random():.2f}\natmo: {{sound: 'synth:rain', level_db: {draw.uniform(-50, -25):.1f}}}\n"
        f"objects: [{', '.join(objects)}]\n"
    )
    return compose(loads(text.replace("'", '"')), rate_hz=RATE_HZ)


def check_master(result: Bounce, target_lufs: float = -23.0) -> None:
    assert result.integrated_lufs == pytest.approx(target_lufs, abs=0.5)
    assert result.true_peak_dbtp <= -1.0
    assert result.loudness_note == ""


@pytest.mark.parametrize("name", presets.scene_names())
def test_a_built_in_scene_misses_its_loudness_or_passes_the_ceiling(name: str) -> None:
    """10 s of each: -23 LUFS ± 0.5, at most -1 dBTP."""
    check_master(bounce(built_in(name), duration_s=10.0))


@pytest.mark.parametrize("seed", range(16))
def test_a_random_scene_misses_its_loudness_or_passes_the_ceiling(seed: int) -> None:
    """10 s of 16 drawn scenes: -23 LUFS ± 0.5, at most -1 dBTP."""
    check_master(bounce(random_scene(seed), duration_s=10.0, keep_samples=False))


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize("name", ["kitchen"])
def test_ffmpeg_reads_another_loudness_or_a_peak_above_the_ceiling(name: str, tmp_path: Path) -> None:
    """Pushed to -12 LUFS, far into the limiter: within 0.1 LU of the report, at most -1.0 dBTP."""
    path = tmp_path / "loud.wav"
    result = bounce(built_in(name), duration_s=10.0, output=path, settings={TARGET: -12.0})
    command = ["ffmpeg", "-nostats", "-i", str(path), "-af", "ebur128=peak=true", "-f", "null", "-"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stderr.split("Summary:")[1]
    integrated, peak = (re.search(rf"{key}:\s+(-?[\d.]+) ", told) for key in ("I", "Peak"))
    assert integrated is not None
    assert peak is not None
    assert result.integrated_lufs == pytest.approx(float(integrated[1]), abs=0.1)
    assert float(peak[1]) <= -1.0


@pytest.mark.parametrize("name", presets.scene_names())
def test_what_is_predicted_is_far_from_what_is_played(name: str) -> None:
    """With the predicted gain and the trim 20 s of each are -23 LUFS ± 1; the prediction was within 2 LU."""
    composition = built_in(name)
    played = bounce(composition, endless=True, duration_s=20.0, keep_samples=False)
    assert played.integrated_lufs == pytest.approx(-23.0, abs=1.0)
    assert played.loudness_gain_db is not None
    own_lufs = played.integrated_lufs - played.loudness_gain_db
    assert composition.expected_lufs == pytest.approx(own_lufs, abs=2.0)


def loud(composition: Composition, target_lufs: float | None) -> Composition:
    scene = composition.scene.model_copy(update={"loudness": target_lufs})
    return replace(composition, scene=scene)


def test_a_scene_that_is_left_alone_has_a_gain() -> None:
    """`loudness: off`: no such node, no such parameter, one pass; the samples are those of a gain of 0 dB."""
    passes: list[int] = []
    left = bounce(loud(small(), None), measuring=lambda done, total: passes.append(done))
    assert passes == []
    assert left.report()["loudness_gain_db"] is None
    assert left.report()["loudness_target_lufs"] is None
    brought = bounce(small())
    gain_db = brought.report()["loudness_gain_db"]
    same = bounce(loud(small(), left.integrated_lufs))
    assert same.loudness_gain_db == pytest.approx(0.0, abs=0.1)
    assert gain_db == pytest.approx(-23.0 - left.integrated_lufs, abs=1.5)


def test_a_render_that_cannot_be_measured_fails_or_says_nothing() -> None:
    """0.2 s: the predicted gain and a note; the CLI and the report have it."""
    result = bounce(small(), duration_s=0.2)
    expected = small().expected_lufs
    assert expected is not None
    assert result.loudness_gain_db == pytest.approx(-23.0 - expected, abs=0.01)
    assert result.report()["loudness_note"] == "too short or too quiet to be measured"


def test_the_ceiling_is_not_blamed() -> None:
    """A lone door asked for -10 LUFS: at most -1 dBTP, and a note where its peaks do not let it be as loud."""
    text = "loudness: -10\nduration: 10\natmo: {sound: synth:rain, level_db: -60}\nobjects: [{label: door}]"
    composition = compose(loads(text), rate_hz=RATE_HZ)
    result = bounce(composition)
    assert result.true_peak_dbtp <= -1.0
    missing = -10.0 - result.integrated_lufs
    assert (abs(missing) <= 0.5) == (result.loudness_note == "")


def test_the_stems_add_up_to_another_master(tmp_path: Path) -> None:
    """At -30 LUFS glue and limiter rest: premaster.wav with the gain of the report is master.wav within 0.1 dB."""
    settings: dict[str, float | str] = {TARGET: -30.0, "glue.ratio": 1.0}
    result = bounce(small(), stems=tmp_path / "stems", settings=settings)
    premaster, master = (soundfile.read(tmp_path / "stems" / f"{n}.wav")[0] for n in ("premaster", "master"))
    assert result.loudness_gain_db is not None
    ratio_db = 10 * math.log10(np.mean(master**2) / np.mean(premaster**2))
    assert ratio_db == pytest.approx(result.loudness_gain_db, abs=0.1)


def test_the_trim_makes_the_quantum_heard() -> None:
    """6 s of what is played at quanta of 32, 128 and 1024: the same SHA-256, and the trim has moved."""
    made = [bounce(small(), endless=True, duration_s=6.0, quantum_frames=q) for q in (32, 128, 1024)]
    assert len({result.sha256 for result in made}) == 1
    expected = small().expected_lufs
    assert expected is not None
    assert made[0].loudness_gain_db is not None
    assert abs(made[0].loudness_gain_db - (-23.0 - expected)) > 0.02


def test_crossing_to_another_target_steps() -> None:
    """From -23 to -30 LUFS and back by an edit: each scene has its own gain, the gain of the edited one glides."""
    told: list[str] = []
    engine = LocalEngine(StreamSpec(RATE_HZ, 128))
    stage = Stage(engine, RATE_HZ, lambda kind, text: told.append(text))
    stage.open(small())
    block = np.zeros((128, 2), np.float32)

    def render(seconds: float) -> None:
        for _ in range(round(seconds * RATE_HZ / 128)):
            engine.render(block)
            for message in engine.poll():
                stage.take(message)
            stage.tick()

    render(0.5)
    first_db = stage.meters.read("loudness", "gain_db")[0]
    stage.go(loud(small(), -30.0), 4800)
    render(1.0)
    assert stage.scenes == 1
    assert stage.params.get(TARGET) == -30.0
    assert stage.meters.read("loudness", "gain_db")[0] == pytest.approx(first_db - 7.0, abs=0.3)
    stage.edit(loud(small(), -23.0))
    render(1.0)
    assert stage.params.get(TARGET) == -23.0
    assert stage.meters.read("loudness", "gain_db")[0] == pytest.approx(first_db, abs=0.5)
    assert told == []


@pytest.mark.parametrize(
    "text", ["loudness: -41", "loudness: -9", "loudness: loud", "loudness: true", "loudness: [1]"]
)
def test_a_loudness_that_cannot_be_is_accepted(text: str) -> None:
    with pytest.raises(InputError, match="must be -40 to -10 LUFS, or off"):
        loads(f"{SMALL}{text}\n")


@pytest.mark.parametrize("text", ["off", "null", "false", '"off"'])
def test_off_is_refused(text: str) -> None:
    assert loads(f"{SMALL}loudness: {text}\n").loudness is None


LOSSES: dict[str, Callable[[float], float]] = {
    "nothing": lambda gain_db: 0.0,
    "half above a knee": lambda gain_db: max(0.0, (gain_db + 3.0) / 2.0),
    "ever more": lambda gain_db: max(0.0, gain_db) ** 2 / 40.0,
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("own_lufs", "predicted_lufs"), [(-20.0, -20.0), (-30.0, -20.0), (-14.0, -30.0)])
def test_the_gain_is_missed(loss: str, own_lufs: float, predicted_lufs: float) -> None:
    """Of a master that takes nothing, half of all above a knee, and ever more: within 0.5 LU in at most 5 passes."""
    passes: list[float] = []

    def measure(gain_db: float) -> float:
        passes.append(gain_db)
        return own_lufs + gain_db - LOSSES[loss](gain_db)

    gain_db = find_gain(measure, -23.0, -23.0 - predicted_lufs)
    assert len(passes) <= MOST_PASSES
    assert own_lufs + gain_db - LOSSES[loss](gain_db) == pytest.approx(-23.0, abs=0.5)
