"""Names of MIDI ports: the label outlives a replug, the output is that of the same device."""

from pathlib import Path

import pytest

from engine.control.midi.apis import choose_api
from engine.control.midi.port_names import is_own, labels, matching, output_of
from engine.errors import InputError

NANO = "nanoKONTROL2:nanoKONTROL2 nanoKONTROL2 _ CTR 20:0"


def test_a_label_has_no_address_and_stays_when_the_device_comes_back_at_another() -> None:
    assert labels([NANO], {}) == {NANO: NANO[:-5]}
    assert list(labels([NANO.replace("20:0", "24:0")], {}).values()) == [NANO[:-5]]


def test_of_two_of_one_name_the_one_that_stays_keeps_its_label() -> None:
    first, second, third = (f"dev:port {n}:0" for n in (20, 24, 28))
    both = labels([first, second], {})
    assert list(both.values()) == ["dev:port", "dev:port #2"]
    left = labels([second], both)
    assert list(left.values()) == ["dev:port #2"]
    assert list(labels([second, third], left).values()) == ["dev:port #2", "dev:port"]


@pytest.mark.parametrize("name", ["roomtone:in", "roomtone-01:dev out", "roomtone:in 129:0", "RoomTone"])
def test_our_own_ports_are_known(name: str) -> None:
    assert is_own(name)
    assert matching("roomtone", [name]) == []
    assert not is_own(f"a {name}")


def test_a_wish_means_the_port_of_that_name_or_all_that_hold_its_words() -> None:
    names = ["dev:out", "dev:out 2", "Fader Box:Fader Box MIDI 1", "Midi Through:Midi Through Port-0"]
    assert matching(None, names) == names[:3]
    assert matching("dev:out", names) == ["dev:out"]
    assert matching("DEV", names) == ["dev:out", "dev:out 2"]
    assert matching("midi box", names) == [names[2]]
    assert matching("through", names) == [names[3]]
    assert matching("nano", names) == []


@pytest.mark.parametrize(
    ("name", "outputs", "output"),
    [
        (NANO, ["Midi Through:Midi Through Port-0 14:0", NANO], NANO),
        ("dev:out", ["other-01:in", "dev-01:in"], "dev-01:in"),
        (
            "system:midi_capture_2",
            ["system:midi_playback_1", "system:midi_playback_2"],
            "system:midi_playback_2",
        ),
        (
            "a2j:Box [20] (capture): Box MIDI 1",
            ["a2j:Other [16] (playback): Other MIDI 1", "a2j:Box [20] (playback): Box MIDI 1"],
            "a2j:Box [20] (playback): Box MIDI 1",
        ),
        (
            "Midi-Bridge:Box 1:(capture_0) Box MIDI 1",
            ["Midi-Bridge:Box 1:(playback_0) Box MIDI 1", "Midi-Bridge:Box 1:(playback_1) Box MIDI 2"],
            "Midi-Bridge:Box 1:(playback_0) Box MIDI 1",
        ),
        ("nanoKONTROL2 0", ["Microsoft GS Wavetable Synth 0", "nanoKONTROL2 1"], "nanoKONTROL2 1"),
        ("Launch:Launch MIDI In", ["Launch:Launch MIDI Out", "roomtone:Launch"], "Launch:Launch MIDI Out"),
        ("keys:out", ["synth:in"], None),
    ],
)
def test_the_output_is_that_of_the_same_device(name: str, outputs: list[str], output: str | None) -> None:
    inputs = [name.replace("capture_2", "capture_1"), name] if "capture_2" in name else [name]
    assert output_of(name, inputs, outputs) == output


def test_the_api_is_that_of_the_system_or_the_one_asked_for(tmp_path: Path) -> None:
    """Linux: ALSA where there is a sequencer, else JACK."""
    nowhere = tmp_path / "seq"
    assert choose_api("auto", [2, 3], "linux", nowhere) == "jack"
    nowhere.touch()
    assert choose_api("auto", [2, 3], "linux", nowhere) == "alsa"
    assert choose_api("jack", [2, 3], "linux", nowhere) == "jack"
    assert choose_api("auto", [1], "darwin", nowhere) == "coremidi"
    with pytest.raises(InputError, match="jack is not built in; there is: coremidi"):
        choose_api("jack", [1], "darwin", nowhere)
