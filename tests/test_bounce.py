"""Rendering to memory and files: the same samples every time, stems that sum, nothing half-written."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile

from dsp.true_peak import true_peak_dbtp
from engine.control.bounce import bounce
from engine.errors import InputError, ParamError, SoundError
from engine.scene.composition import compose
from engine.scene.load import loads
from tests.scenes import built_in, small

ROOT = Path(__file__).parent.parent


def test_the_same_seed_gives_the_same_samples_and_another_seed_others() -> None:
    first, again = bounce(small()), bounce(small())
    other = bounce(small(seed=4))
    assert first.sha256 == again.sha256
    assert first.sha256 != other.sha256


def test_a_fresh_process_gives_the_same_samples() -> None:
    code = "from tests.scenes import small; from engine.control.bounce import bounce; print(bounce(small()).sha256)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split()[-1] == bounce(small()).sha256


def test_the_hash_is_that_of_the_samples() -> None:
    result = bounce(small(), duration_s=0.5)
    assert result.samples is not None
    assert result.samples.dtype == np.float32
    assert result.samples.shape == (24_000, 2)
    assert hashlib.sha256(result.samples.astype("<f4").tobytes()).hexdigest() == result.sha256


def test_a_longer_endless_render_begins_with_the_shorter_one() -> None:
    short = bounce(small(), endless=True, duration_s=1.5)
    long = bounce(small(), endless=True, duration_s=3.0)
    assert short.samples is not None
    assert long.samples is not None
    assert np.array_equal(short.samples, long.samples[: short.frames])


@pytest.mark.parametrize("quantum", [16, 32, 100, 256, 1000, 1024, 2048])
def test_the_quantum_does_not_change_the_sound(quantum: int) -> None:
    """Every quantum gives the samples that 128 gives, bit for bit."""
    reference = bounce(small(), duration_s=2.0, quantum_frames=128)
    assert bounce(small(), duration_s=2.0, quantum_frames=quantum).sha256 == reference.sha256


@pytest.mark.parametrize("rate_hz", [22_050, 44_100, 96_000, 192_000])
def test_every_rate_renders_the_whole_scene(rate_hz: int) -> None:
    """Loudness at other rates is within 1 LU of that at 48 kHz."""
    result = bounce(small(rate_hz))
    assert result.frames == 4 * rate_hz
    assert result.integrated_lufs == pytest.approx(bounce(small()).integrated_lufs, abs=1.0)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000])
def test_a_low_rate_renders_too(rate_hz: int) -> None:
    result = bounce(small(rate_hz), duration_s=1.0)
    assert result.frames == rate_hz
    assert result.faults == ()
    assert result.integrated_lufs > -50.0


def test_adding_an_object_changes_no_other_tracks_events() -> None:
    extra = "  - {label: door, sound: synth:door, schedule: {kind: random, gap: [0, 1]}}\n"
    before, after = (bounce(small(extra=e), endless=True, duration_s=3.0).report() for e in ("", extra))
    assert len(after["tracks"]) == len(before["tracks"]) + 1
    assert after["tracks"][: len(before["tracks"])] == before["tracks"]


def test_stems_and_room_sum_to_the_pre_master_mix(tmp_path: Path) -> None:
    """The residual is at most -100 dBFS."""
    result = bounce(small(), output=tmp_path / "out.wav", stems=tmp_path / "stems")
    read = {p.stem: soundfile.read(p, dtype="float64")[0] for p in (tmp_path / "stems" / "post").iterdir()}
    buses = {n: soundfile.read(tmp_path / "stems" / f"{n}.wav")[0] for n in ("room", "premaster", "master")}
    assert sorted(read) == ["atmo", "bell", "bird", "car"]
    residual = sum(read.values()) + buses["room"] - buses["premaster"]
    assert np.abs(residual).max() <= 1e-5
    assert np.abs(buses["room"]).max() > 1e-3
    assert result.samples is not None
    assert np.array_equal(buses["master"].astype(np.float32), result.samples)


def test_stems_before_unmasking_differ_from_those_after_only_by_cuts(tmp_path: Path) -> None:
    """No track is louder after unmasking than before, and at least one is quieter by more than 0.3 dB."""
    bounce(small(), stems=tmp_path)
    changes = []
    for name in ("atmo", "bell", "bird", "car"):
        pre, post = (soundfile.read(tmp_path / part / f"{name}.wav")[0] for part in ("pre", "post"))
        changes.append(10 * np.log10(np.mean(post**2) / np.mean(pre**2)))
    assert max(changes) < 0.01
    assert min(changes) < -0.3


def test_taking_stems_does_not_change_the_mix(tmp_path: Path) -> None:
    assert bounce(small(), stems=tmp_path, duration_s=1.0).sha256 == bounce(small(), duration_s=1.0).sha256


def test_stems_never_join_those_of_another_render(tmp_path: Path) -> None:
    """Refused by name before anything is rendered or changed; the same scene again is not, nor are hidden files."""
    bounce(small(), stems=tmp_path / "stems", duration_s=0.1)
    (tmp_path / "stems" / "pre" / ".car.part.wav").write_bytes(b"")
    (tmp_path / "stems" / "pre" / "notes.txt").write_text("mine")
    bounce(small(seed=4), stems=tmp_path / "stems", duration_s=0.1)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    other = compose(loads("objects: [{label: car}, {label: gull, sound: synth:bird}]"), rate_hz=48_000)
    rendered: list[int] = []
    with pytest.raises(
        InputError, match=r"stems: holds tracks of another render: bell\.wav, bird\.wav; an empty"
    ):
        bounce(
            other,
            stems=tmp_path / "stems",
            output=tmp_path / "o.wav",
            progress=lambda n, _: rendered.append(n),
        )
    assert not rendered
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_flac_file_of_a_track_is_of_another_render(tmp_path: Path) -> None:
    (tmp_path / "post").mkdir()
    (tmp_path / "post" / "car.flac").write_bytes(b"")
    with pytest.raises(InputError, match=r"another render: car\.flac"):
        bounce(small(), stems=tmp_path, duration_s=0.1)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["car.flac", "post"]


def test_settings_hold_from_the_first_sample_on(tmp_path: Path) -> None:
    """With an amount of 0 every track is the same bit for bit before and after; with no wet level no room is heard."""
    bounce(small(), stems=tmp_path, settings={"unmask.amount": 0.0, "room.wet_level": 0})
    for pre in (tmp_path / "pre").iterdir():
        assert pre.read_bytes() == (tmp_path / "post" / pre.name).read_bytes()
    assert not soundfile.read(tmp_path / "room.wav")[0].any()


def test_a_switch_is_set_by_its_word(tmp_path: Path) -> None:
    """From the first frame on, delta is what unmasking takes: before less after, within -100 dBFS."""
    for folder, settings in (("plain", None), ("delta", {"unmask.delta": "on"})):
        bounce(small(), stems=tmp_path / folder, settings=settings, duration_s=2.0)
    for name in ("atmo", "bell", "bird", "car"):
        pre, post = (soundfile.read(tmp_path / "plain" / part / f"{name}.wav")[0] for part in ("pre", "post"))
        delta = soundfile.read(tmp_path / "delta" / "post" / f"{name}.wav")[0]
        assert np.abs(delta - (pre - post)).max() <= 1e-5


@pytest.mark.parametrize(
    "settings", [{"unmask.amont": 1.0}, {"unmask.amount": 2.0}, {"unmask.delta": "loud"}]
)
def test_a_setting_that_is_refused_leaves_no_file(settings: dict[str, float | str], tmp_path: Path) -> None:
    with pytest.raises(ParamError, match=r"unmask\."):
        bounce(small(), output=tmp_path / "o.wav", stems=tmp_path / "stems", settings=settings)
    assert not list(tmp_path.iterdir())


def test_outdoors_nothing_returns_from_a_room(tmp_path: Path) -> None:
    bounce(small(room=False), stems=tmp_path, duration_s=1.0)
    assert not soundfile.read(tmp_path / "room.wav")[0].any()


def test_a_wav_file_holds_the_very_samples_and_a_flac_file_their_24_bits(tmp_path: Path) -> None:
    """FLAC is within 2^-23 of the samples."""
    wav = bounce(small(), duration_s=1.0, output=tmp_path / "o.wav")
    bounce(small(), duration_s=1.0, output=tmp_path / "o.flac")
    assert wav.samples is not None
    assert soundfile.info(tmp_path / "o.wav").subtype == "FLOAT"
    assert np.array_equal(soundfile.read(tmp_path / "o.wav", dtype="float32")[0], wav.samples)
    assert np.abs(soundfile.read(tmp_path / "o.flac")[0] - wav.samples).max() <= 2**-23


def test_the_reported_figures_are_those_of_the_samples() -> None:
    """Loudness within 0.1 LU of pyloudnorm, true peak as the offline meter says to 0.01 dB."""
    result = bounce(built_in(), duration_s=20.0)
    assert result.samples is not None
    meter = pyloudnorm.Meter(48_000, filter_class="DeMan")
    assert result.integrated_lufs == pytest.approx(meter.integrated_loudness(result.samples), abs=0.1)
    assert result.true_peak_dbtp == pytest.approx(true_peak_dbtp(result.samples, 48_000), abs=0.01)
    assert result.true_peak_dbtp <= -0.7


def test_the_report_names_every_event_that_sounds_and_none_beyond_the_end() -> None:
    result = bounce(small())
    report = json.loads(json.dumps(result.report()))
    assert [t["label"] for t in report["tracks"]] == ["atmo", "car", "bird", "bell"]
    assert report["tracks"][1]["events"] == [
        {"start_frame": 9600, "frames": report["frames"] - 9600, "source": "synth:car"}
    ]
    for track in report["tracks"]:
        assert track["events"]
        assert all(e["start_frame"] + e["frames"] <= report["frames"] for e in track["events"])


def test_a_render_ends_in_silence_without_a_click() -> None:
    """The last sample is below -80 dBFS."""
    samples = bounce(small()).samples
    assert samples is not None
    assert np.abs(samples[-1]).max() < 1e-4


def test_the_atmo_is_as_loud_at_the_end_of_a_render_as_before() -> None:
    """The last half second but its 20 ms of fade is within 1.5 dB of the rest."""
    composition = compose(loads("duration: 3\natmo: {sound: synth:rain}"), rate_hz=48_000)
    samples = bounce(composition).samples
    assert samples is not None
    power = np.mean(samples.astype(np.float64) ** 2, axis=1)
    end, middle = power[-24_000:-960].mean(), power[24_000:-24_000].mean()
    assert abs(10 * np.log10(end / middle)) < 1.5


def test_a_failing_render_leaves_no_file_and_keeps_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "o.wav"
    target.write_bytes(b"precious")

    def fail(done: int, total: int) -> None:
        if done > 10_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bounce(small(), output=target, stems=tmp_path / "stems", progress=fail)
    assert target.read_bytes() == b"precious"
    assert list(tmp_path.rglob("*")) == [target]


def test_a_render_never_writes_over_a_sound_of_its_scene(tmp_path: Path) -> None:
    sound = tmp_path / "master.wav"
    soundfile.write(sound, np.random.default_rng(1).uniform(-0.1, 0.1, 48_000), 48_000)
    before = sound.read_bytes()
    scene = loads("objects: [{label: hum, sound: master.wav}]").found_in(tmp_path)
    composition = compose(scene, rate_hz=48_000)
    for writes in ({"output": sound}, {"stems": tmp_path}):
        with pytest.raises(SoundError, match=r"master\.wav: is a sound of this scene"):
            bounce(composition, duration_s=0.1, **writes)  # type: ignore[arg-type]
    assert sound.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["master.wav"]


@pytest.mark.parametrize("duration_s", [0.0, -1.0, float("nan"), float("inf"), 86_401.0])
def test_an_impossible_duration_is_refused(duration_s: float) -> None:
    with pytest.raises(InputError, match="duration"):
        bounce(small(), duration_s=duration_s)


def test_an_endless_render_without_a_duration_is_refused() -> None:
    with pytest.raises(InputError, match="--duration"):
        bounce(small(), endless=True)


def test_an_unknown_format_is_refused_before_anything_is_rendered(tmp_path: Path) -> None:
    with pytest.raises(SoundError, match=r"cannot write \.mp3; \.wav or \.flac"):
        bounce(small(), output=tmp_path / "o.mp3")


def test_the_built_in_scenes_have_no_faults_and_a_sensible_level() -> None:
    """Each renders 10 s between -35 and -12 LUFS with no fault."""
    import presets

    for name in presets.scene_names():
        result = bounce(built_in(name), duration_s=10.0)
        assert result.faults == ()
        assert -35.0 < result.integrated_lufs < -12.0
