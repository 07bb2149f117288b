"""Mix settings of a track: what is written goes before what is predicted, and what is applied is what is told."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from scipy import signal

from dsp.clip_loudness import active_loudness
from engine.control.bounce import bounce
from engine.control.patch import default_graph
from engine.learn.bands import BANDS, CENTRES_HZ
from engine.learn.mix_settings import UNKNOWN, Curve, Figure, MixSettings, Name
from engine.nodes.insert_compressor import Insert, InsertCompressors
from engine.scene.composition import REFERENCE_LUFS, Composition, compose
from engine.scene.explain import explain
from engine.scene.instance import compose_instance, read_instance, texts
from engine.scene.load import load_scene, loads
from engine.scene.predicted import as_record, from_record
from engine.scene.squeeze import work_of
from engine.scene.strip import (
    LEAST_REDUCTION_DB,
    MOST_INSERTS,
    NOT_HEARD,
    NOT_PREDICTED,
    limited,
    strip_of,
    together,
)
from engine.scene.tone import Tone, filtered_samples, impulse_response, magnitude_db
from engine.scene.written_settings import WrittenSettings
from tests.test_nodes import build
from tests.test_stage import Rig

RATE_HZ = 48_000
Samples = NDArray[np.float32]


def figure(value: float, confidence: float = 0.8) -> Figure:
    return Figure(value, value - 1.0, value + 1.0, confidence, "rule")


def told(reduction_db: float = 6.0, confidence: float = 0.8, **other: Any) -> MixSettings:
    """Settings as they are predicted."""
    slope = np.linspace(-2.0, 2.0, BANDS)
    nobody = Name(UNKNOWN, 0.0, "none")
    made = MixSettings(
        highpass_hz=figure(40.0),
        eq_db=Curve(slope, slope - 1.0, slope + 1.0, confidence, "rule"),
        threshold_db=figure(-30.0),
        ratio=figure(4.0),
        attack_ms=figure(60.0),
        release_ms=figure(900.0),
        reduction_db=figure(reduction_db, confidence),
        gain_db=figure(3.0),
        past_reduction_db=figure(0.0),
        family=Name("drums", 0.7, "rule", (("drums", 0.7), ("bass", 0.3))),
        instrument=nobody,
        equipment=nobody,
        notes=("a note",),
    )
    return replace(made, **other)


def written(**settings: Any) -> WrittenSettings:
    return WrittenSettings(**settings)


def taps(samples: Samples) -> Samples:
    """A loud and a soft stroke in turn, four a second, of the noise in `samples`."""
    seconds = np.arange(len(samples)) / RATE_HZ
    loud = np.where((4.0 * seconds).astype(int) % 2 == 0, 1.0, 0.2)
    made: Samples = (samples * (loud * np.exp(-12.0 * (seconds % 0.25)))[:, None]).astype(np.float32)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a stereo file of strokes and a mono file of a steady hum."""
    path = tmp_path_factory.mktemp("sounds")
    rng = np.random.default_rng(5)
    strokes = taps(0.4 * rng.standard_normal((3 * RATE_HZ, 2)).astype(np.float32))
    soundfile.write(path / "strokes.wav", strokes, RATE_HZ, subtype="FLOAT")
    k = np.arange(1, 5)[:, None]
    hum = (np.sin(2.0 * np.pi * 90.0 * k * np.arange(2 * RATE_HZ) / RATE_HZ) / k).sum(axis=0)
    soundfile.write(path / "hum.wav", (0.1 * hum).astype(np.float32), RATE_HZ, subtype="FLOAT")
    return path


def scene(folder: Path, strokes: str = "{}", predict: bool = False) -> Composition:
    """Strokes that loop and hum, at -25 LUFS each, without anything else."""
    text = f"""
seed: 4
duration: 3
loudness: off
reduction_db: 0
atmo: {{sound: hum.wav, level_db: -60}}
predict: {str(predict).lower()}
objects:
  - {{label: strokes, sound: strokes.wav, yield: never, schedule: {{kind: loop}}, settings: {strokes}}}
  - {{label: hum, sound: hum.wav, yield: never, schedule: {{kind: once, at: 0}}}}
"""
    return compose(loads(text, folder=folder), rate_hz=RATE_HZ)


WRITTEN = "{threshold_db: -24, ratio: 4, attack_ms: 40, release_ms: 700}"


# The tone ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", [22_050, 48_000, 96_000])
@pytest.mark.parametrize("corner_hz", [0.0, 120.0])
def test_the_filter_is_another_than_the_curve(rate_hz: int, corner_hz: float) -> None:
    """Within 0.1 dB at every band from 80 Hz to 0.4 of the rate, by scipy's transform of its response."""
    curve = 6.0 * np.sin(np.linspace(0.0, 5.0, BANDS))
    tone = Tone(tuple(curve), corner_hz)
    bands = CENTRES_HZ[(CENTRES_HZ > 75.0) & (0.4 * rate_hz > CENTRES_HZ)]
    _, response = signal.freqz(impulse_response(tone, rate_hz), worN=bands, fs=rate_hz)
    wanted_db = np.interp(np.log(bands), np.log(CENTRES_HZ), curve)
    if corner_hz:
        _, butter = signal.freqs(
            *signal.butter(2, 2 * np.pi * corner_hz, "high", analog=True), 2 * np.pi * bands
        )
        wanted_db += 20.0 * np.log10(np.abs(butter))
    assert np.abs(20.0 * np.log10(np.abs(response)) - wanted_db).max() < 0.1
    assert np.abs(magnitude_db(tone, bands) - wanted_db).max() < 1e-9


def test_a_filtered_clip_rings_before_it_sounds() -> None:
    """A click at frame 5000 leaves all before it below -120 dB, and the response is scipy's convolution."""
    tone = Tone(tuple(np.linspace(-6.0, 6.0, BANDS)), 60.0)
    x = np.zeros((40_000, 2), np.float32)
    x[5000] = 1.0, -0.5
    y = filtered_samples(x, tone, RATE_HZ)
    assert y.shape == x.shape
    assert np.abs(y[:5000]).max() < 1e-6
    noise = np.random.default_rng(1).standard_normal((150_000, 1)).astype(np.float32)
    truth = signal.oaconvolve(noise[:, 0].astype(np.float64), impulse_response(tone, RATE_HZ))[:150_000]
    assert np.abs(filtered_samples(noise, tone, RATE_HZ)[:, 0] - truth).max() < 1e-5


# The strip --------------------------------------------------------------------------------------------------------


def test_a_prediction_goes_before_what_is_written() -> None:
    """Each field alone: the written one is applied, sure and of source scene, and all others are as predicted."""
    for name, value in [
        ("highpass_hz", 77.0),
        ("threshold_db", -41.0),
        ("ratio", 7.0),
        ("attack_ms", 11.0),
        ("release_ms", 222.0),
        ("gain_db", -5.0),
    ]:
        strip = strip_of([told()], written(**{name: value}))
        assert strip.settings is not None
        for field in ("highpass_hz", "threshold_db", "ratio", "attack_ms", "release_ms", "gain_db"):
            known = getattr(strip.settings, field)
            assert known == (
                Figure(value, value, value, 1.0, "scene") if field == name else getattr(told(), field)
            )
        applied = strip.tone.highpass_hz if name == "highpass_hz" else getattr(strip.squeeze, name)
        assert applied == value
    eq_db = strip_of([told()], written(eq_db={1000: 3.0})).tone.eq_db
    assert eq_db == tuple(3.0 if k == 17 else 0.0 for k in range(BANDS))


def test_what_is_not_worth_it_or_not_sure_is_applied() -> None:
    """2.9 dB of reduction, a confidence of 0.2, a flat curve, `compressor: false`: nothing, and each has its reason."""
    none = WrittenSettings()
    assert strip_of([told(LEAST_REDUCTION_DB)], none).squeeze is not None
    little = strip_of([told(LEAST_REDUCTION_DB - 0.1)], none)
    unsure = strip_of([told(confidence=0.2)], none)
    off = strip_of([told()], written(compressor=False, eq_db={}))
    assert (little.squeeze, unsure.squeeze, off.squeeze) == (None, None, None)
    assert little.why == (
        "no compressor: a reduction of 2.9 dB is predicted, and it is worth its time from 3 dB",
    )
    assert [why.split(":")[0] for why in unsure.why] == ["no equaliser", "no compressor"]
    assert unsure.tone.eq_db == off.tone.eq_db == ()
    assert off.why == ("no compressor: the scene has none for it",)
    assert strip_of([told(0.0)], WrittenSettings(compressor=True)).squeeze is not None
    assert strip_of([told(0.0)], WrittenSettings(ratio=2.0)).squeeze is not None
    assert strip_of([], none).why == (NOT_PREDICTED,)


def test_more_than_eight_tracks_have_a_compressor() -> None:
    """Of 12 the 8 with the most reduction; one that is written goes before them all."""
    strips = [strip_of([told(3.0 + i)], WrittenSettings()) for i in range(12)]
    kept = [i for i, strip in enumerate(limited(strips)) if strip.squeeze is not None]
    assert kept == list(range(12 - MOST_INSERTS, 12))
    strips[0] = strip_of([told(3.0)], WrittenSettings(ratio=2.0))
    made = limited(strips)
    assert made[0].squeeze is not None
    assert made[4].squeeze is None
    assert made[4].why[-1].startswith("no compressor: 8 other tracks")


def test_sounds_of_one_track_have_different_strips() -> None:
    """A track has the mean of its sounds: EQ and threshold in dB, ratio and times in equal ratios."""
    other = told(
        eq_db=replace(told().eq_db, value=np.zeros(BANDS)), ratio=figure(1.0), threshold_db=figure(-20.0)
    )
    both = together([told(), other])
    assert both.ratio.value == pytest.approx(2.0)
    assert both.threshold_db.value == -25.0
    np.testing.assert_allclose(both.eq_db.value, np.linspace(-1.0, 1.0, BANDS))
    assert both.family.value == "drums"
    assert together([told(), told(family=Name("bass", 0.9, "rule"))]).family.value == UNKNOWN
    same = together([told(), told()])
    assert same.attack_ms.value == told().attack_ms.value


def test_kept_settings_are_others_than_those_predicted() -> None:
    """Every number comes back as it was, through JSON; anything else is refused."""
    import json

    record = json.loads(json.dumps(as_record(told())))
    again = from_record(record)
    assert as_record(again) == as_record(told())
    np.testing.assert_array_equal(again.eq_db.value, told().eq_db.value)
    for name, wrong in [("ratio", [1, 2]), ("eq_db", [[1.0], [1.0], [1.0], 0.5, "rule"]), ("family", "x")]:
        with pytest.raises((KeyError, TypeError, ValueError, IndexError)):
            from_record({**record, name: wrong})


# The compressor ---------------------------------------------------------------------------------------------------


def p95_reduction_db(x: Samples, y: Samples) -> float:
    """What 5 % of the milliseconds within 40 dB of the loudest are reduced by."""
    frames = min(len(x), len(y)) // 48 * 48
    before, after = (np.square(v[:frames].reshape(-1, 48 * 2)).mean(axis=1) for v in (x, y))
    active = before > before.max() * 1e-4
    return float(np.quantile(10.0 * np.log10(before[active] / after[active]), 0.95))


def through_node(samples: Samples, insert: Insert) -> Samples:
    """What the node makes of a stereo track beside another one."""
    bench = build(InsertCompressors(("rain", insert.track), (insert,)), RATE_HZ)
    out = []
    for at in range(0, len(samples) // 128 * 128, 128):
        block = np.zeros((128, 4), np.float32)
        block[:, 1::2] = samples[at : at + 128]
        block[:, ::2] = 0.25
        made = bench.run(block)
        assert np.array_equal(made[:, ::2], block[:, ::2])
        out.append(made[:, 1::2])
    return np.concatenate(out)


def test_a_compressor_does_not_do_what_is_told_of_it(folder: Path) -> None:
    """On a clip the node reduces by what is measured at composition within 0.1 dB, and the loudness is made up for.

    The active loudness is within 0.3 LU of that of the clip.
    """
    strip = scene(folder, WRITTEN).tracks[1].strip
    assert strip.squeeze is not None
    clip = scene(folder, WRITTEN).materials[1].samples
    work = work_of(strip.squeeze, clip, RATE_HZ)
    assert work.reduction_db == pytest.approx(strip.expected_db, abs=1e-6)
    assert work.reduction_db > 3.0
    made = through_node(clip, Insert("car", **vars(strip.squeeze)))
    gained = 10.0 ** (strip.squeeze.gain_db / 20.0)
    assert p95_reduction_db(clip, made / gained) == pytest.approx(work.reduction_db, abs=0.1)
    assert active_loudness(made, RATE_HZ) == pytest.approx(
        active_loudness(clip[: len(made)], RATE_HZ), abs=0.3
    )


@pytest.mark.parametrize("name", ["footsteps", "thunder", "clock", "fire"])
def test_a_predicted_compressor_reduces_by_more_or_less_than_predicted(name: str) -> None:
    """Of a procedural sound within 1 dB of the prediction; its loudness is made up for within 0.3 LU."""
    made = compose(
        loads(f"{{atmo: {{sound: synth:rain}}, objects: [{{label: {name}}}]}}"), rate_hz=RATE_HZ, seed=3
    )
    strip = made.tracks[1].strip
    assert strip.settings is not None
    assert strip.squeeze is not None
    clip = made.materials[made.tracks[1].clips[0].number].samples
    out = through_node(clip, Insert("car", **vars(strip.squeeze)))
    reduced_db = p95_reduction_db(clip, out / 10.0 ** (strip.squeeze.gain_db / 20.0))
    assert reduced_db == pytest.approx(strip.settings.reduction_db.value, abs=1.0)
    assert active_loudness(out, RATE_HZ) == pytest.approx(active_loudness(clip[: len(out)], RATE_HZ), abs=0.3)


def test_a_threshold_is_not_that_of_the_sound_as_it_is_given(folder: Path) -> None:
    """Events come at -23 LUFS: the threshold of the insert is as far from that as the written one from the clip."""
    made = scene(folder, WRITTEN)
    track = made.tracks[1]
    loudness = made.materials[track.clips[0].number].loudness_lufs
    assert track.squeeze is not None
    assert track.squeeze.threshold_db == pytest.approx(-24.0 + REFERENCE_LUFS - loudness, abs=1e-9)
    node = default_graph(made).nodes["insert"]
    assert isinstance(node, InsertCompressors)
    assert node.inserts == (Insert("strokes", **vars(track.squeeze)),)


def test_levels_are_no_longer_what_importance_says(folder: Path) -> None:
    """With a compressor, an equaliser and a high-pass the lone strokes are at -25 LUFS within 0.5 LU, as without."""
    settings = WRITTEN[:-1] + ", eq_db: {100: -6, 4000: 6}, highpass_hz: 60}"
    for strokes in ("{}", settings):
        text = f"""
duration: 3
loudness: off
reduction_db: 0
predict: false
atmo: {{sound: hum.wav, level_db: -60}}
objects: [{{label: strokes, sound: strokes.wav, schedule: {{kind: loop}}, settings: {strokes}}}]
"""
        result = bounce(
            compose(loads(text, folder=folder), rate_hz=RATE_HZ), settings={"mix.atmo.panning": 0.0}
        )
        assert result.samples is not None
        assert active_loudness(np.ascontiguousarray(result.samples), RATE_HZ) == pytest.approx(-25.0, abs=0.5)


def test_nothing_is_predicted_where_the_scene_wants_nothing(folder: Path) -> None:
    """`predict: false`: no strip, no insert, and the clips are the files'."""
    made = scene(folder)
    assert all(t.strip.settings is None and t.squeeze is None for t in made.tracks)
    assert {why for t in made.tracks for why in t.strip.why} == {NOT_PREDICTED}
    assert "insert" not in default_graph(made).nodes
    samples, _ = soundfile.read(folder / "strokes.wav", dtype="float32")
    kept = made.materials[1].samples
    assert np.isin(kept[1000:1100], samples).all()


def test_a_live_input_is_filtered() -> None:
    """Nothing is predicted of it, which is told; a compressor that is written for it stands at its own level."""
    settings = "{threshold_db: -30, ratio: 3}"
    text = f"objects: [{{label: mic, sound: input:1}}, {{label: mic, sound: input:2, settings: {settings}}}]"
    made = compose(loads(text), rate_hz=RATE_HZ)
    _, plain, told = made.tracks
    assert plain.strip.settings is None
    assert plain.strip.why == (NOT_HEARD,)
    assert told.squeeze is not None
    assert (told.squeeze.threshold_db, told.squeeze.ratio, told.squeeze.gain_db) == (-30.0, 3.0, 0.0)
    graph = default_graph(made)
    assert (
        [str(pin) for pin in graph.sources("insert")] if hasattr(graph, "sources") else graph.nodes["insert"]
    )


@pytest.mark.parametrize("quantum", [16, 100, 1024])
def test_the_quantum_changes_what_a_compressor_does(quantum: int, folder: Path) -> None:
    """Every quantum gives the samples that 128 gives, bit for bit."""
    made = scene(folder, WRITTEN)
    assert bounce(made, duration_s=1.0, quantum_frames=quantum).sha256 == bounce(made, duration_s=1.0).sha256


def test_live_is_another_sound_than_offline(folder: Path) -> None:
    """A second through the engine that plays has the bits of the render."""
    made = scene(folder, WRITTEN)
    live = Rig(made).render(1.0)
    offline = bounce(made, endless=True, duration_s=1.5).samples
    assert offline is not None
    assert np.abs(live).max() > 0.01
    np.testing.assert_array_equal(live, offline[: len(live)])


def test_an_instance_depends_on_a_prediction(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It holds what was applied: rendered again it predicts nothing and has the same samples."""
    (folder / "scene.yaml").write_text(
        "duration: 2\natmo: {sound: hum.wav}\nobjects:\n"
        f"  - {{label: strokes, sound: strokes.wav, settings: {WRITTEN}}}\n"
        "  - {label: bell, schedule: {kind: random, gap: [0.5, 1]}}\n"
    )
    first = bounce(compose(load_scene(folder / "scene.yaml"), rate_hz=RATE_HZ))
    path = folder / "instance.json"
    told: dict[str, Any] = {"quantum": 128, "settings": {}, "loudness_gain_db": None, "version": "0"}
    told["sha256"] = first.sha256
    path.write_text("".join(texts(first.composition, folder, **told)))

    def no_prediction(*_: object) -> None:
        raise AssertionError("it was predicted again")

    monkeypatch.setattr("engine.scene.predicted.predicted", no_prediction)
    again = compose_instance(read_instance(path), path)
    assert bounce(again).sha256 == first.sha256


def test_what_is_applied_is_not_explained(folder: Path) -> None:
    """Settings with source and confidence, what is applied, and why not the rest."""
    _, strokes, hum = explain(scene(folder, WRITTEN[:-1] + ", highpass_hz: 0}", predict=True))
    mix = strokes["mix"]
    assert mix["settings"]["ratio"] == {"value": 4.0, "confidence": 1.0, "source": "scene"}
    assert mix["applied"]["compressor"]["ratio"] == 4.0
    assert mix["applied"]["highpass_hz"] is None
    assert mix["applied"]["reduction_db"] > 3.0
    assert hum["mix"]["settings"]["reduction_db"]["source"] in ("rule", "model")


def changes() -> Iterator[tuple[str, str]]:
    yield "{}", WRITTEN
    yield WRITTEN, "{}"
    yield WRITTEN, WRITTEN.replace("ratio: 4", "ratio: 8")


@pytest.mark.parametrize(("before", "after"), list(changes()))
def test_sounds_that_stay_are_made_again(before: str, after: str, folder: Path) -> None:
    """After an edit of a compressor every clip is the very same array."""
    first = scene(folder, before)
    text_folder = scene(folder, after)
    again = compose(text_folder.scene, rate_hz=RATE_HZ, reuse=first.materials)
    assert all(a is b for a, b in zip(first.materials, again.materials, strict=True))
