"""A scene's room from its file to the samples: reverb, impulse response or echo, and how loud beside the rest."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from scipy import signal

from dsp.decay import loudness_energy
from engine.control.bounce import bounce
from engine.control.patch import default_graph, room_nodes
from engine.control.room_measurement import impulse_response
from engine.errors import SceneError, SoundError
from engine.impulse import ImpulseResponse
from engine.nodes import ConvolutionRoom, Room, SlapEcho
from engine.nodes.early import EarlyReflections
from engine.nodes.fdn_room import FdnRoom
from engine.scene.composition import Composition, compose
from engine.scene.impulse import load_impulse
from engine.scene.load import load_scene

RATE = 48_000


def click(folder: Path, frames: int = 4800) -> None:
    """A sound with one sample in it, 0.1 s after its start."""
    samples = np.zeros(frames)
    samples[4799] = 0.5
    soundfile.write(folder / "click.wav", samples, RATE, subtype="FLOAT")


def hall(
    folder: Path, rate_hz: int = RATE, channels: int = 2, seconds: float = 0.5, level: float = 0.1
) -> None:
    """A response of noise that dies away."""
    frames = int(seconds * rate_hz)
    decay = np.exp(-6.9 * np.arange(frames) / frames)[:, None]
    x = level * np.random.default_rng(3).standard_normal((frames, channels)) * decay
    soundfile.write(folder / "hall.wav", x, rate_hz, subtype="FLOAT")


def composed(folder: Path, text: str) -> Composition:
    (folder / "scene.yaml").write_text(
        f"{{duration: 8, loudness: off, objects: [{{label: click, sound: click.wav, schedule: {{at: 0}}}}], {text}}}"
    )
    return compose(load_scene(folder / "scene.yaml"), rate_hz=RATE)


def heard(composition: Composition, wet: float | None = None) -> NDArray[np.float64]:
    """What the default graph makes of the click alone, with the limiter and the compressor idle."""
    settings: dict[str, float | str] = {"trim.atmo.level_db": -90.0, "trim.click.level_db": -10.0}
    if wet is not None:
        settings["room.wet_level"] = wet
    samples = bounce(composition, settings=settings).samples
    assert samples is not None
    return samples.astype(np.float64)


@pytest.mark.parametrize(
    ("text", "drr_db"),
    [
        ("room_detected: true, wet_level: 1", 0.0),
        ("room: church", 4.44),
        ("room: {preset: bedroom}", 12.04),
        ("room_detected: true, room_size: 0, damping: 1, width: 0, wet_level: 0.5", 6.02),
        ("room_detected: true, room_size: 1, damping: 1, wet_level: 0.1", 20.0),
    ],
)
def test_the_direct_to_reverberant_ratio_of_a_scene_is_not_that_of_its_wet_level(
    tmp_path: Path, text: str, drr_db: float
) -> None:
    """Through mix, room, compressor and limiter, for an object in the middle: within 1 dB."""
    click(tmp_path)
    composition = composed(tmp_path, text)
    dry = heard(composition, 0.0)
    tail = heard(composition) - dry
    direct = loudness_energy(dry, RATE)
    assert np.count_nonzero(np.abs(dry) > 1e-3 * np.abs(dry).max()) < 40
    assert 10 * np.log10(direct / loudness_energy(tail, RATE)) == pytest.approx(drr_db, abs=1.0)


def test_outdoors_there_is_a_tail(tmp_path: Path) -> None:
    """Without a room the click alone; with an echo, the click once more, at its time and level, and nothing else."""
    click(tmp_path)
    composition = composed(tmp_path, "room: forest")
    assert "room" not in default_graph(composition).nodes
    dry = heard(composition)
    echoing = heard(composed(tmp_path, "room: {echo_ms: 100}, wet_level: 0.5"))
    late = echoing - dry
    at, again = int(np.argmax(np.abs(dry[:, 0]))), int(np.argmax(np.abs(late[:, 0])))
    assert again - at == 4800
    assert late[again, 0] == pytest.approx(0.5 * dry[at, 0], rel=1e-3)
    assert np.abs(late[again + 200 :]).max() < 1e-3 * np.abs(late).max()


@pytest.mark.parametrize(("rate_hz", "channels"), [(RATE, 2), (44_100, 1), (RATE, 1)])
def test_a_measured_response_sounds_otherwise(tmp_path: Path, rate_hz: int, channels: int) -> None:
    """Its samples, at the stream's rate, scaled so that pink noise comes back as loud as it goes in: within 0.1 dB."""
    click(tmp_path)
    hall(tmp_path, rate_hz, channels)
    composition = composed(tmp_path, "room: {impulse: hall.wav}, wet_level: 1")
    node = room_nodes(composition)["room"]
    assert isinstance(node, ConvolutionRoom)
    response = impulse_response(node, RATE, 0.6)
    assert 10 * np.log10(loudness_energy(response, RATE)) == pytest.approx(0.0, abs=0.1)
    samples, _ = soundfile.read(tmp_path / "hall.wav", always_2d=True)
    if rate_hz == RATE:
        kept = 20_000  # before it fades out
        gain = np.sqrt(np.sum(response[:kept, 0] ** 2) / np.sum(samples[:kept, 0] ** 2))
        np.testing.assert_allclose(
            response[:kept], np.broadcast_to(gain * samples[:kept], (kept, 2)), atol=2e-5
        )
    else:
        assert np.flatnonzero(np.abs(response[:, 0]) > 1e-6)[-1] == pytest.approx(0.48 * RATE, rel=0.05)
    tail = heard(composition) - heard(composition, 0.0)
    dry = heard(composition, 0.0)
    assert 10 * np.log10(loudness_energy(dry, RATE) / loudness_energy(tail, RATE)) == pytest.approx(
        0.0, abs=0.5
    )


def test_a_convolution_is_another_than_that_of_the_books(tmp_path: Path) -> None:
    """Noise through the node against scipy: within -80 dB of the peak, the plug-in's own gain included."""
    hall(tmp_path)
    click(tmp_path)
    node = room_nodes(composed(tmp_path, "room: {impulse: hall.wav}, wet_level: 1"))["room"]
    assert isinstance(node, ConvolutionRoom)
    from tests.test_nodes import build, noise

    bench = build(node)
    x = np.concatenate([noise(2, seed=i) for i in range(100)])
    y = np.concatenate([bench.run(x[i : i + 128]) for i in range(0, len(x), 128)])
    response = node.impulse.samples.astype(np.float64) * node.impulse.level
    wanted = signal.fftconvolve(x.astype(np.float64), response, axes=0)[: len(x)]
    assert np.abs(y - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_a_render_with_a_measured_response_differs_from_what_is_played(tmp_path: Path) -> None:
    """The quantum of a render is by default that of `roomtone play`, because a convolution depends on it."""
    click(tmp_path)
    hall(tmp_path)
    composition = composed(tmp_path, "room: {impulse: hall.wav}")
    render = bounce(composition, duration_s=0.5)
    assert render.spec.quantum_frames == 128
    assert render.sha256 == bounce(composition, duration_s=0.5, quantum_frames=128).sha256


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda path: None, r'scene.yaml:1: room.impulse: no sound file "hall.wav"'),
        (lambda path: path.write_text("no sound"), r"room.impulse: hall.wav .*"),
        (
            lambda path: soundfile.write(path, np.zeros(4800), RATE),
            "room.impulse: hall.wav is silent; must have something to hear",
        ),
        (
            lambda path: soundfile.write(path, np.ones(11 * 8000) * 0.1, 8000),
            "room.impulse: hall.wav lasts 11.0 s; an impulse response of at most 4.0 s at 48000 Hz",
        ),
    ],
    ids=["missing", "no sound", "silent", "too long"],
)
def test_a_response_that_will_not_do_is_used_or_refused_without_its_name(
    tmp_path: Path, make: object, what: str
) -> None:
    click(tmp_path)
    assert callable(make)
    make(tmp_path / "hall.wav")
    with pytest.raises((SceneError, SoundError), match=what):
        composed(tmp_path, "room: {impulse: hall.wav}")


def test_a_response_is_longer_than_it_sounds(tmp_path: Path) -> None:
    """Half a second down to -60 dB, and 20 s of faint hiss behind: 0.5 s are kept, and end without a step."""
    click(tmp_path)
    hall(tmp_path)
    samples, _ = soundfile.read(tmp_path / "hall.wav")
    hiss = 1e-7 * np.random.default_rng(1).standard_normal((20 * RATE, 2))
    soundfile.write(tmp_path / "hall.wav", np.concatenate([samples, hiss]), RATE, subtype="FLOAT")
    impulse = composed(tmp_path, "room: {impulse: hall.wav}").impulse
    assert impulse is not None
    assert 0.4 < len(impulse.samples) / RATE < 0.55
    assert np.abs(impulse.samples[-20:]).max() < 1e-3 * np.abs(impulse.samples).max()
    np.testing.assert_allclose(impulse.samples[:20_000], samples[:20_000], atol=1e-7)


def test_responses_are_told_apart_by_something_else_than_their_samples() -> None:
    x = np.random.default_rng(1).standard_normal((100, 2)).astype(np.float32)
    one, same, other = (ImpulseResponse("a", s, 1.0) for s in (x, x.copy(), 2 * x))
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert ConvolutionRoom(one, 0.3) == ConvolutionRoom(same, 0.3) != ConvolutionRoom(other, 0.3)
    assert one != "a"
    assert pickle.loads(pickle.dumps(ConvolutionRoom(one, 0.3))) == ConvolutionRoom(one, 0.3)


def test_a_scene_without_a_response_has_one(tmp_path: Path) -> None:
    click(tmp_path)
    hall(tmp_path)
    composition = composed(tmp_path, "room_detected: false, room: {impulse: hall.wav}")
    assert composition.impulse is None
    assert room_nodes(composition) == {}
    assert load_impulse(composition.scene, RATE) is None


def test_an_echo_that_is_adopted_is_lost() -> None:
    from tests.test_nodes import build

    old, new = build(SlapEcho(50.0, 0.5)), build(SlapEcho(50.0, 0.25))
    old.run(1.0)
    assert new.processor.can_adopt(old.processor)
    assert not build(SlapEcho(40.0, 0.5)).processor.can_adopt(old.processor)
    new.processor.adopt(old.processor)
    late = np.concatenate([new.run(0.0) for _ in range(30)])
    assert late.max() == pytest.approx(0.25, rel=0.01)


def test_a_scene_gets_another_engine_than_it_asks_for(tmp_path: Path) -> None:
    """The delay network and Freeverb in its place, and the sound of each is its own."""
    click(tmp_path)
    heard = {}
    for engine, node in (("freeverb", Room), ("fdn", FdnRoom)):
        composition = composed(tmp_path, f"room: {{preset: bedroom, engine: {engine}}}")
        assert isinstance(default_graph(composition).nodes["room"], node)
        heard[engine] = bounce(composition, duration_s=1.0)
        assert heard[engine].faults == ()
        assert bounce(composition, duration_s=1.0, quantum_frames=64).sha256 == heard[engine].sha256
    assert heard["fdn"].sha256 != heard["freeverb"].sha256
    assert heard["fdn"].integrated_lufs == pytest.approx(heard["freeverb"].integrated_lufs, abs=1.0)


def test_early_reflections_are_left_out_or_come_where_there_are_none(tmp_path: Path) -> None:
    """Beside the tail, from the same send, into the stem of the room; none outdoors."""
    click(tmp_path)
    composition = composed(tmp_path, "room: {preset: bedroom, early: 0.5}")
    early = default_graph(composition).nodes["early"]
    assert isinstance(early, EarlyReflections)
    assert early.early_level_db == pytest.approx(-6.02, abs=0.01)
    bounce(composition, stems=tmp_path / "stems", duration_s=1.0)
    stems = {
        n: soundfile.read(tmp_path / "stems" / f"{n}.wav")[0] for n in ("room", "premaster", "post/click")
    }
    atmo = soundfile.read(tmp_path / "stems" / "post" / "atmo.wav")[0]
    rest = stems["premaster"] - stems["room"] - stems["post/click"] - atmo
    assert np.abs(rest).max() < 1e-6
    assert "early" not in default_graph(composed(tmp_path, "room: {preset: bedroom}")).nodes
    assert "early" not in default_graph(composed(tmp_path, "room: {preset: forest, early: true}")).nodes


@pytest.mark.parametrize("engine", ["freeverb", "fdn"])
def test_early_reflections_stay_when_the_knobs_of_the_room_are_turned(tmp_path: Path, engine: str) -> None:
    """Turned from the bedroom's to these, size 0.8 and damping 0.1 give the samples of a scene that says so."""
    click(tmp_path)
    room = f"room: {{preset: bedroom, engine: {engine}, early: true}}"
    composition = composed(tmp_path, room)
    knobs = [p.name for p in default_graph(composition).nodes["early"].params]
    assert knobs == ["early_level_db"]
    turned = bounce(composition, duration_s=0.5, settings={"room.room_size": 0.8, "room.damping": 0.1})
    said = bounce(composed(tmp_path, f"{room}, room_size: 0.8, damping: 0.1"), duration_s=0.5)
    assert turned.sha256 == said.sha256
    assert turned.sha256 != bounce(composition, duration_s=0.5).sha256
    only = {"room.wet_level": 0.0}
    here, there = (
        bounce(composition, duration_s=0.5, settings=only | more) for more in ({}, {"room.room_size": 0.8})
    )
    assert here.sha256 != there.sha256


def test_early_reflections_in_a_measured_room_have_a_size_of_their_own(tmp_path: Path) -> None:
    """An impulse response has no size to turn: 0.7 and 0.2 are the scene's."""
    click(tmp_path)
    hall(tmp_path)
    early = room_nodes(
        composed(tmp_path, "room: {impulse: hall.wav, early: 1}, room_size: 0.7, damping: 0.2")
    )["early"]
    assert early == EarlyReflections(0.7, 0.2, 0.0)


def test_stems_of_a_place_with_an_echo_miss_it(tmp_path: Path) -> None:
    click(tmp_path)
    composition = composed(tmp_path, "room: {echo_ms: 100}, wet_level: 0.5")
    bounce(replace(composition), stems=tmp_path / "stems", duration_s=1.0)
    assert np.abs(soundfile.read(tmp_path / "stems" / "room.wav")[0]).max() > 1e-3
