"""The built-in rooms: what they say of themselves, and what a scene gets by naming one."""

import pytest

import presets
from dsp.room_acoustics import eyring_rt60_s
from engine.errors import InputError, SceneError
from engine.scene.load import loads
from engine.scene.rooms import AIR_DB_PER_KM, load_room, nearest_room

WANTED = {
    *("bathroom", "bedroom", "living-room", "classroom", "car", "corridor", "theatre", "concert-hall"),
    *("church", "factory", "cave", "courtyard", "forest", "open-field"),
}
INDOORS = [name for name in presets.room_names() if load_room(name).enclosed]
OUTDOORS = [name for name in presets.room_names() if name not in INDOORS]

PLAUSIBLE_S = {
    "bedroom": (0.3, 0.7),
    "living-room": (0.3, 0.7),
    "classroom": (0.5, 0.9),
    "theatre": (0.7, 1.3),
    "concert-hall": (1.7, 2.3),
    "church": (2.0, 5.0),
}
"""What such rooms are known to have: a slip in an area or in a material leads out of it."""


def test_a_room_that_everybody_expects_is_missing() -> None:
    assert set(presets.room_names()) >= WANTED


@pytest.mark.parametrize("name", INDOORS)
def test_the_times_of_a_room_do_not_follow_from_its_surfaces(name: str) -> None:
    """Within 1 % (or the second digit) of Eyring's formula in every octave; surfaces that can enclose the volume."""
    room = load_room(name)
    assert room.rt60_s is not None
    assert room.volume_m3 is not None
    areas = [s.area_m2 for s in room.surfaces]
    for i, stated_s in enumerate(room.rt60_s):
        absorption = [min(s.absorption[i], 0.999) for s in room.surfaces]
        rt60_s = eyring_rt60_s(room.volume_m3, areas, absorption, AIR_DB_PER_KM[i] * 1e-3 / 4.343)
        assert stated_s == pytest.approx(rt60_s, rel=0.01, abs=0.006)
    assert sum(areas) > 4.8 * room.volume_m3 ** (2 / 3)
    low, high = PLAUSIBLE_S.get(name, (0.0, 10.0))
    assert low <= (room.mid_rt60_s or 0.0) <= high
    assert "Vorländer" in room.source


@pytest.mark.parametrize("name", INDOORS)
def test_the_parameters_of_a_room_mean_another_room(name: str) -> None:
    """Its T_mid, within 0.25 s to 6 s, and its ratio at 4 kHz, within 0.5 to 1; and it is its own nearest."""
    room = load_room(name)
    assert room.rt60_s is not None
    assert room.mid_rt60_s is not None
    assert room.target.rt60_s == pytest.approx(min(max(room.mid_rt60_s, 0.25), 6.0))
    assert room.target.treble_ratio == pytest.approx(min(max(room.rt60_s[5] / room.mid_rt60_s, 0.5), 1.0))
    assert nearest_room(room.size, room.damping) == name


@pytest.mark.parametrize("name", OUTDOORS)
def test_a_place_outdoors_has_a_tail(name: str) -> None:
    """Nor an echo, but where there is a wall: from its distance, there and back at 343 m/s, within half a ms."""
    room, scene = load_room(name), loads(f"room: {name}")
    assert not scene.room.detected
    assert scene.room.echo_ms == room.echo_ms
    assert (room.echo_ms is None) == (room.wall_distance_m is None)
    if room.echo_ms is not None and room.wall_distance_m is not None:
        assert room.echo_ms == pytest.approx(2e3 * room.wall_distance_m / 343.0, abs=0.5)


def test_a_scene_that_names_a_room_gets_another() -> None:
    """All parameters of the preset; what the scene says itself stays, defaults that it spells out too."""
    church = load_room("church")
    room = loads("room: church").room
    assert (room.detected, room.size, room.damping) == (True, church.size, church.damping)
    assert (room.wet_level, room.width) == (church.wet_level, church.width)
    assert loads("room: {preset: church}").room == room
    own = loads("{room: church, room_size: 0.5, wet_level: 0.2, room_detected: false}").room
    assert (own.detected, own.size, own.wet_level, own.damping) == (False, 0.5, 0.2, church.damping)


def test_a_scene_that_names_no_room_is_changed() -> None:
    room = loads("{room_detected: true, room_size: 0.3, damping: 0.1}").room
    assert (room.size, room.damping, room.wet_level, room.width) == (0.3, 0.1, 0.2, 1.0)
    assert (room.engine, room.early, room.impulse, room.echo_ms) == ("freeverb", 0.0, None, None)


def test_early_reflections_are_on_or_off_or_between() -> None:
    for text, level in (("true", 1.0), ("false", 0.0), ("0.4", 0.4)):
        assert loads(f"room: {{early: {text}}}").room.early == level


def test_a_room_that_is_not_there_is_not_named() -> None:
    with pytest.raises(InputError, match="did you mean concert-hall"):
        load_room("concert-hal")
    with pytest.raises(SceneError, match=r"room\.preset: no room is called .*; there are bathroom"):
        loads("room: {preset: zzz}")
