"""The pictures of a mix must show what was rendered: the right level at the right place, whole or not at all."""

import io
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import soundfile

from dsp.bark import BANDS, EDGES_HZ
from engine.control.bounce import bounce
from engine.control.picture_log import MOST_COLUMNS, PictureLog, _Spectrum
from engine.scene.composition import compose
from engine.scene.load import loads
from engine.view.mix_data import Lane, MixPicture, PlacedSound
from engine.view.mix_pictures import spectrogram, timeline
from tests.command import run, run_here
from tests.scenes import small
from tests.test_masking_report import reported

RATE_HZ = 48_000


def watched(seconds: float = 4.0, quantum: int | None = None) -> PictureLog:
    composition = small()
    log = PictureLog(composition, round(seconds * RATE_HZ))
    bounce(composition, observers=[log], keep_samples=False, duration_s=seconds, quantum_frames=quantum)
    return log


@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 96_000])
@pytest.mark.parametrize("frequency_hz", [60.0, 1000.0, 9000.0])
def test_a_tone_is_drawn_at_another_level_or_frequency(rate_hz: int, frequency_hz: float) -> None:
    """A sine of -20 dBFS in both channels: its row has the most, -20 dB within 1.8 dB (of a Hann window's bins)."""
    n = np.arange(2 * rate_hz)
    tone = (0.1 * np.sin(2 * np.pi * frequency_hz * n / rate_hz)).astype(np.float32)
    spectrum = _Spectrum(rate_hz, len(n))
    for end in range(1000, len(n) + 1000, 1000):
        spectrum.push(np.repeat(tone[end - 1000 : end, None], 2, axis=1), min(end, len(n)))
    levels = spectrum.levels_db()[20:60].mean(axis=0)
    at = int(np.argmax(levels))
    assert spectrum.frequencies_hz[at] == pytest.approx(frequency_hz, abs=12.0, rel=0.03)
    assert levels[at] == pytest.approx(-20.0, abs=1.8)


@pytest.mark.parametrize("blocks", [[1], [37, 128], [4096], [100_000]])
def test_the_spectrum_depends_on_how_the_render_is_cut(blocks: list[int]) -> None:
    """Bit for bit, the last block longer than what is left of the render."""
    frames = 20_000
    x = np.random.default_rng(3).standard_normal((frames + 4096, 2)).astype(np.float32)
    whole, cut = _Spectrum(RATE_HZ, frames), _Spectrum(RATE_HZ, frames)
    whole.push(x, frames)
    at = 0
    while at < frames:
        size = blocks[at % len(blocks)]
        end = min(frames, at + size)
        cut.push(x[at : at + max(size, 1)], end)
        at = end
    assert np.array_equal(whole.levels_db(), cut.levels_db())


def test_a_long_render_takes_more_memory_than_a_picture_has_columns() -> None:
    """A day at 48 kHz: 1600 columns at most."""
    log = PictureLog(small(), 86_400 * RATE_HZ)
    assert len(log._spectrum._power) <= MOST_COLUMNS
    assert len(log._kept) <= MOST_COLUMNS


def test_the_picture_depends_on_the_quantum() -> None:
    one, two = watched(2.0, 128).picture, watched(2.0, 1024).picture
    assert np.array_equal(one.spectrum_db, two.spectrum_db)
    for a, b in zip(one.lanes, two.lanes, strict=True):
        assert np.array_equal(a.cut_db, b.cut_db)
        assert [s.start_s for s in a.sounds] == [s.start_s for s in b.sounds]


def test_cuts_are_drawn_where_there_are_none(tmp_path: Path) -> None:
    """Every band of every track over time as the masking report has it, within its tenth of a decibel."""
    report = reported(tmp_path / "m.json", small())
    picture = watched().picture
    for lane, track in zip(picture.lanes, report["tracks"], strict=True):
        wanted = np.array(track["cut_db"])
        np.testing.assert_allclose(lane.cut_db[: len(wanted)], wanted, atol=0.051)


def test_sounds_are_drawn_at_another_place_or_past_the_end(tmp_path: Path) -> None:
    """A click 0.5 s into a sound from 1 s on is the highest point of its wave; loops go on, and end at the end."""
    samples = 0.01 * np.random.default_rng(2).standard_normal(RATE_HZ)
    samples[RATE_HZ // 2] = 0.5
    soundfile.write(tmp_path / "click.wav", samples, RATE_HZ, subtype="FLOAT")
    text = "{duration: 3, objects: [{label: c, sound: click.wav, schedule: {at: 1}},"
    text += " {label: l, sound: click.wav, schedule: {kind: loop}}]}"
    composition = compose(loads(text).found_in(tmp_path), rate_hz=RATE_HZ)
    log = PictureLog(composition, 3 * RATE_HZ)
    bounce(composition, observers=[log], keep_samples=False)
    (sound,) = log.picture.lanes[1].sounds
    assert (sound.start_s, sound.goes_on) == (1.0, False)
    at_s = sound.start_s + (np.argmax(sound.envelope) + 0.5) / len(sound.envelope) * sound.length_s
    assert at_s == pytest.approx(1.5, abs=0.01)
    rounds = log.picture.lanes[2].sounds
    assert [s.goes_on for s in rounds] == [False] + [True] * (len(rounds) - 1)
    assert max(s.start_s + s.length_s for s in rounds) == pytest.approx(3.0, abs=1e-6)
    assert all(s.envelope.min() >= 0.0 and s.envelope.max() <= 1.0 for s in (sound, *rounds))


def made(lanes: int, sounds: int, name: str = "car") -> MixPicture:
    rng = np.random.default_rng(1)
    placed = tuple(
        PlacedSound(
            0.1 * i, 0.5, 0.01, 0.01, rng.random(50).astype(np.float32), 1000.0, False, "moved" if i else ""
        )
        for i in range(sounds)
    )
    cut_db = (-6.0 * rng.random((20, BANDS))).astype(np.float32)
    rows = tuple(
        Lane(f"{name}{n}", None if n == 0 else 0.5, -25.0, 3.0, placed, cut_db) for n in range(lanes)
    )
    return MixPicture(
        "Test", 10.0, rows, np.full((30, 40), -60.0, np.float32), np.geomspace(30, 20_000, 40), EDGES_HZ
    )


@pytest.mark.parametrize(("lanes", "sounds"), [(1, 0), (2, 3), (60, 1)])
@pytest.mark.parametrize("draw", [timeline, spectrogram])
def test_a_scene_of_any_size_cannot_be_drawn(draw: object, lanes: int, sounds: int) -> None:
    """The atmosphere alone, some tracks, more than there are lanes: a PNG with something on it, a well-formed SVG."""
    drawn = draw(made(lanes, sounds, "<$&日本>"))  # type: ignore[operator]
    image = matplotlib.image.imread(io.BytesIO(drawn["png"]))
    assert image.shape[1] == 1440
    assert image[..., :3].std() > 0.02
    assert ElementTree.fromstring(drawn["svg"]).tag.endswith("svg")


def test_the_same_mix_is_drawn_in_other_bytes() -> None:
    assert timeline(made(2, 2)) == timeline(made(2, 2))
    assert spectrogram(made(2, 2)) == spectrogram(made(2, 2))


def test_render_writes_half_of_the_pictures_or_into_a_file(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("{duration: 0.5, objects: [{label: bell}]}")
    shown = run_here("render", "s.yaml", "--plots", "new/pictures", "-o", "s.wav", cwd=tmp_path)
    assert shown.returncode == 0
    names = ["spectrogram.png", "spectrogram.svg", "timeline.png", "timeline.svg"]
    assert sorted(p.name for p in (tmp_path / "new/pictures").iterdir()) == names
    text = (tmp_path / "new/pictures/timeline.svg").read_text("utf-8")
    assert re.search(r"bell", text)
    refused = run("render", "s.yaml", "--plots", "s.yaml", "-o", "t.wav", cwd=tmp_path)
    assert refused.returncode == 2
    assert "a folder for pictures" in refused.stderr
    assert not (tmp_path / "t.wav").exists()
