"""Predicted settings: absurd for odd sounds, not what pedalboard then does, or not the same each time."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pedalboard
import pytest
import soundfile
from hypothesis import given
from hypothesis import settings as runs
from hypothesis import strategies as st

from dsp.clip_loudness import active_loudness
from dsp.synth import synthesise
from engine.learn.bands import NOMINAL_HZ
from engine.learn.envelope_rules import ACTIVE_DB, PERCENTILE, envelope_db, threshold_db, times_ms
from engine.learn.excerpt import excerpt
from engine.learn.families import FAMILIES
from engine.learn.features import features, schema
from engine.learn.mix_settings import MOST_EQ_DB, Figure, MixSettings
from engine.learn.predict import predict
from engine.learn.rules import MOST_REDUCTION_DB, rules
from engine.learn.treatment import NOTHING_KNOWN

RATE_HZ = 44_100


def check(settings: MixSettings) -> None:
    """Every figure finite, in its interval, and in the range that can be used."""
    for field in dataclasses.fields(settings):
        figure = getattr(settings, field.name)
        if hasattr(figure, "low") and field.name != "eq_db":
            assert np.isfinite([figure.value, figure.low, figure.high]).all()
            assert figure.low <= figure.value <= figure.high
            assert 0.0 <= figure.confidence <= 1.0
    curve = settings.eq_db.value
    assert np.abs(curve).max() <= MOST_EQ_DB
    assert abs(curve.mean()) < 1e-6
    assert settings.ratio.value >= 1.0
    assert -80.0 <= settings.threshold_db.value <= 0.0
    assert 0.0 <= settings.reduction_db.value <= MOST_REDUCTION_DB
    assert -1.0 <= settings.gain_db.value <= 12.0
    assert sum(p for _, p in settings.family.candidates) == pytest.approx(1.0)


@runs(max_examples=60)
@given(st.data())
def test_a_sound_nobody_thought_of_gives_absurd_settings(data: st.DataObject) -> None:
    """Clicks, constants, noise, tones, silence of any length, level and channels: ±6 dB of zero mean, 0 to 6 dB."""
    frames = data.draw(st.sampled_from([1, 2, 43, 44, 441, 5000, 30_000]))
    channels = data.draw(st.sampled_from([1, 2]))
    level = data.draw(st.sampled_from([0.0, 1e-30, 1e-6, 0.1, 1.0, 1e4]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    t = np.arange(frames)[:, None]
    kinds = (
        lambda: rng.standard_normal((frames, channels)),
        lambda: np.sin(rng.uniform(0, np.pi) * t) * np.ones((1, channels)),
        lambda: (t % 997 == 0) * np.ones((1, channels)),
        lambda: np.ones((frames, channels)),
    )
    x = (level * kinds[data.draw(st.integers(0, 3))]()).astype(np.float32)
    check(predict(x, data.draw(st.sampled_from([8_000, 44_100, 96_000]))))


@pytest.mark.parametrize(
    "samples", [np.zeros((0, 1)), np.zeros(10), np.full((9, 1), np.nan), np.zeros((9, 3))]
)
def test_what_is_no_sound_is_predicted_of(samples: "np.ndarray") -> None:
    with pytest.raises(ValueError, match="sound"):
        predict(samples.astype(np.float32), RATE_HZ)


@pytest.mark.parametrize("name", ["bell", "footsteps", "door", "bird", "car"])
@pytest.mark.parametrize("wanted_db", [3.0, 5.0])
def test_pedalboards_compressor_takes_more_or_less_than_it_is_set_to(name: str, wanted_db: float) -> None:
    """5 % of the active milliseconds are reduced by more than was wanted, within 0.5 dB, by pedalboard itself."""
    x = excerpt(synthesise(name, rate_hz=RATE_HZ, seed=3)[:, :1], RATE_HZ)
    attack_ms, release_ms = times_ms(x)
    at_db = threshold_db(envelope_db(x, attack_ms, release_ms), 3.0, wanted_db)
    y = pedalboard.Compressor(at_db, 3.0, attack_ms, release_ms)(x, RATE_HZ, reset=True)
    blocks = len(x) // 44
    before, after = (
        np.square(v[: 44 * blocks], dtype=np.float64).reshape(blocks, 44).mean(axis=1) for v in (x, y)
    )
    heard = before > before.max() * 10.0 ** (-0.1 * ACTIVE_DB)
    taken_db = 10.0 * np.log10(before[heard] / after[heard])
    assert np.percentile(taken_db, PERCENTILE) == pytest.approx(wanted_db, abs=0.5)


def test_times_are_not_in_pedalboards_sense() -> None:
    """A sine has a squared crest of 2: an attack of 80 ms, as pedalboard counts 502 ms (500 at most)."""
    t = np.arange(RATE_HZ)[:, None] / RATE_HZ
    attack_ms, release_ms = times_ms(np.sin(2 * np.pi * 100 * t).astype(np.float32))
    assert attack_ms == 500.0
    assert release_ms == pytest.approx(2 * np.pi * 920.0, rel=0.01)


def test_the_makeup_changes_the_loudness() -> None:
    """A voice compressed as predicted for one, and made up for: as loud within 0.1 LU, by pedalboard."""
    x = excerpt(synthesise("babble", rate_hz=RATE_HZ, seed=1)[:, :1], RATE_HZ)
    named = {f.name: float(v) for f, v in zip(schema(), features(x, RATE_HZ), strict=True)}
    found = rules(x, named | {"crest": 30.0}, {"voice": 1.0})
    assert found.reduction_db.value == MOST_REDUCTION_DB
    times = found.attack_ms.value, found.release_ms.value
    y = pedalboard.Compressor(found.threshold_db.value, found.ratio.value, *times)(x, RATE_HZ, reset=True)
    y = y * np.float32(10.0 ** (found.gain_db.value / 20.0))
    assert active_loudness(y, RATE_HZ) == pytest.approx(active_loudness(x, RATE_HZ), abs=0.1)


def test_a_colour_is_made_worse() -> None:
    """10 dB too much around 3 kHz in four procedural sounds: three at least are turned down there, and none up."""
    t = np.log2(np.maximum(np.fft.rfftfreq(4 * RATE_HZ, 1.0 / RATE_HZ), 10.0) / 3000.0)
    lift = 10.0 ** (10.0 * np.exp(-0.5 * (t / 0.5) ** 2) / 20.0)
    at = int(np.argmin(np.abs(np.array(NOMINAL_HZ) - 3150.0)))
    changes = []
    for name in ("babble", "stream", "car", "rain"):
        x = synthesise(name, rate_hz=RATE_HZ, seed=3)[: 4 * RATE_HZ, :1]
        x = np.pad(x, ((0, 4 * RATE_HZ - len(x)), (0, 0)))
        coloured = np.fft.irfft(np.fft.rfft(x[:, 0]) * lift, len(x))[:, None].astype(np.float32)
        before, after = (predict(v, RATE_HZ).eq_db.value[at] for v in (x, coloured))
        changes.append(after - before)
    assert max(changes) <= 0.05
    assert sum(change < -0.2 for change in changes) >= 3


def test_what_a_small_recorder_lost_is_taken_for_a_colour() -> None:
    """Eight procedural sounds with nothing above 11 kHz: their equalisers span at most 5 dB, most of them 1 dB."""
    spans = []
    for name in ("applause", "rain", "stream", "car", "footsteps", "keyboard", "wind", "babble"):
        x = synthesise(name, rate_hz=22_050, seed=5)[: 6 * 22_050, :1]
        spans.append(float(np.ptp(predict(x, 22_050).eq_db.value)))
    assert max(spans) <= 5.0
    assert sum(span <= 1.0 for span in spans) > 4


def test_a_sound_that_was_compressed_is_compressed_as_if_it_was_not() -> None:
    """What has surely been taken counts: with 4 dB of it 2 dB are left of 6, with 7 dB none."""
    x = synthesise("babble", rate_hz=RATE_HZ, seed=1)[:, :1]
    named = {f.name: float(v) for f, v in zip(schema(), features(x, RATE_HZ), strict=True)} | {"crest": 30.0}
    taken = []
    for low_db in (0.0, 4.0, 7.0):
        past = Figure(low_db + 2.0, low_db, low_db + 5.0, 0.8, "model")
        treatment = dataclasses.replace(NOTHING_KNOWN, reduction_db=past)
        taken.append(rules(x, named, {"voice": 1.0}, treatment).reduction_db.value)
    assert taken == [6.0, 2.0, 0.0]


def test_a_high_pass_takes_what_is_heard() -> None:
    """Of a tone at 1 kHz it stands below 800 Hz; rumble down to 20 Hz has none."""
    t = np.arange(RATE_HZ)[:, None] / RATE_HZ
    tone = predict(np.sin(2 * np.pi * 1000 * t).astype(np.float32), RATE_HZ).highpass_hz.value
    assert 300.0 < tone < 800.0
    rumble = np.cumsum(np.random.default_rng(1).standard_normal((RATE_HZ, 1)), axis=0)
    rumble = (rumble / np.abs(rumble).max()).astype(np.float32)
    assert predict(rumble, RATE_HZ).highpass_hz.value == 0.0


def test_another_family_is_not_treated_otherwise() -> None:
    """No chances, half of one and all of one: ratios between those of unknown and known."""
    x = synthesise("bell", rate_hz=RATE_HZ, seed=3)[:, :1]
    named = {f.name: float(v) for f, v in zip(schema(), features(x, RATE_HZ), strict=True)}
    ratios = [rules(x, named, chances).ratio.value for chances in ({}, {"bass": 0.5}, {"bass": 1.0})]
    assert ratios == pytest.approx([2.5, 3.25, FAMILIES["bass"].ratio])


def test_a_long_sound_is_judged_by_its_silence() -> None:
    """A minute with one loud second in it: 10 s at most are looked at, and that second is among them."""
    x = np.zeros((RATE_HZ * 60, 1), np.float32)
    x[RATE_HZ * 41 : RATE_HZ * 42] = 0.5 * np.random.default_rng(1).standard_normal((RATE_HZ, 1))
    part = excerpt(x, RATE_HZ)
    assert len(part) <= 10 * RATE_HZ
    assert np.square(part).sum() == pytest.approx(np.square(x).sum(), rel=1e-6)


def test_the_command_hides_a_broken_file_or_tells_no_json(tmp_path: Path) -> None:
    """Two sounds and a text: the two are told, the text is named, exit code 2."""
    tone = 0.3 * np.sin(np.arange(30_000) * 0.1)
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, tone, RATE_HZ)
    (tmp_path / "c.wav").write_text("no sound")
    command = [sys.executable, "-c", "from engine.cli import main; main()", "predict", "--json"]
    files = [str(tmp_path / name) for name in ("a.wav", "c.wav", "b.wav")]
    done = subprocess.run(
        [*command, *files], capture_output=True, text=True, cwd=Path(__file__).parent.parent
    )
    assert done.returncode == 2
    assert "c.wav" in done.stderr
    assert "Traceback" not in done.stderr
    told = json.loads(done.stdout)
    assert [Path(one["file"]).name for one in told] == ["a.wav", "b.wav"]
    assert len(told[0]["eq"]["bands"]) == 31
    assert told[0]["equipment"]["value"] == "unknown"
