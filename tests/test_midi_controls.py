"""Controls out of messages: half a value, a parameter number that is stale, an encoder that turns the wrong way."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.control.midi.controls import (
    ENCODINGS,
    HALF_TIMEOUT_S,
    SELECT_TIMEOUT_S,
    Control,
    ControlReader,
    Encoding,
    Kind,
    Reading,
    encode,
)
from engine.control.midi.messages import MessageParser


class Port:
    """The bytes of a port, read as they come."""

    def __init__(self) -> None:
        self.parser, self.reader, self.now_s = MessageParser(), ControlReader(), 0.0

    def take(self, *data: int, wait_s: float = 0.001) -> list[Reading]:
        self.now_s += wait_s
        return [r for m in self.parser.feed(bytes(data)) for r in self.reader.take(m, self.now_s)]

    def wait(self, seconds: float) -> list[Reading]:
        self.now_s += seconds
        return self.reader.overdue(self.now_s)


def of_kind(readings: list[Reading], kind: Kind) -> list[Reading]:
    return [reading for reading in readings if reading.control.kind == kind]


@pytest.mark.parametrize(
    ("data", "control", "value"),
    [
        ((0xB0, 91, 64), Control("cc", 1, 91), 64),
        ((0x99, 36, 100), Control("note", 10, 36), 100),
        ((0x99, 36, 0), Control("note", 10, 36), 0),
        ((0x89, 36, 90), Control("note", 10, 36), 0),
        ((0xEF, 0, 64), Control("pitch_bend", 16), 8192),
        ((0xE0, 127, 127), Control("pitch_bend", 1), 16383),
        ((0xC1, 5), Control("program", 2), 5),
        ((0xD0, 77), Control("pressure", 1), 77),
        ((0xFA,), Control("start"), 127),
        ((0xFB,), Control("continue"), 127),
        ((0xFC,), Control("stop"), 127),
        ((0xF8,), Control("clock"), 127),
    ],
)
def test_a_message_is_read_as_another_control(data: tuple[int, ...], control: Control, value: int) -> None:
    assert Port().take(*data) == [Reading(control, value)]


def test_the_coarse_half_moves_a_14_bit_control_before_the_fine_half_is_there() -> None:
    """63.127 to 64.0 passes through nothing else; the 7-bit readings come all the same."""
    port = Port()
    readings = port.take(0xB0, 7, 63) + port.take(0xB0, 39, 127)
    readings += port.take(0xB0, 7, 64) + port.take(0xB0, 39, 0)
    assert [r.value for r in of_kind(readings, "cc14")] == [63 << 7 | 127, 64 << 7]
    assert [r.value for r in of_kind(readings, "cc")] == [63, 127, 64, 0]


def test_a_fine_half_alone_is_ignored() -> None:
    port = Port()
    port.take(0xB0, 7, 10, 0xB0, 39, 20)
    assert of_kind(port.take(0xB0, 39, 21), "cc14") == [Reading(Control("cc14", 1, 7), 10 << 7 | 21)]


def test_a_last_coarse_half_without_its_fine_half_is_lost() -> None:
    """It is given when the time is out, with the fine half 0 as the specification has it."""
    port = Port()
    port.take(0xB0, 7, 10, 0xB0, 39, 20)
    assert of_kind(port.take(0xB0, 7, 11), "cc14") == []
    assert port.wait(HALF_TIMEOUT_S * 0.9) == []
    assert port.wait(HALF_TIMEOUT_S) == [Reading(Control("cc14", 1, 7), 11 << 7)]
    assert port.wait(1.0) == []


def test_a_device_without_fine_halves_never_reaches_the_top() -> None:
    port = Port()
    assert of_kind(port.take(0xB0, 7, 5), "cc14") == []
    assert port.wait(HALF_TIMEOUT_S) == [Reading(Control("cc14", 1, 7), 5 << 7 | 5)]
    values = [r.value for v in (126, 127, 0) for r in of_kind(port.take(0xB0, 7, v), "cc14")]
    assert values == [126 << 7 | 126, 16383, 0]


def test_an_nrpn_of_two_channels_is_mixed_up() -> None:
    """Parameter numbers and values of channels that alternate stay apart."""
    port = Port()
    parts: list[tuple[int, int]] = [(99, 2), (98, 44), (6, 100), (38, 1)]
    for part in parts:
        for status, offset in ((0xB0, 0), (0xB5, 7)):
            readings = port.take(status, part[0], (part[1] + offset) % 128)
            if part[0] == 38:
                channel, number, value = (
                    (1, 300, 12801) if status == 0xB0 else (6, (9 << 7) | 51, (107 << 7) | 8)
                )
                assert of_kind(readings, "nrpn") == [Reading(Control("nrpn", channel, number), value)]


@pytest.mark.parametrize(
    "reset",
    [(101, 127, 100, 127), (99, 127, 98, 127), (101, 0, 100, 0)],
    ids=["null RPN", "null NRPN", "another RPN"],
)
def test_data_entry_goes_to_a_parameter_that_was_left(reset: tuple[int, int, int, int]) -> None:
    port = Port()
    port.take(0xB0, 99, 2, 0xB0, 98, 44)
    port.take(0xB0, *reset[:2], 0xB0, *reset[2:])
    readings = port.take(0xB0, 6, 1) + port.take(0xB0, 38, 1) + port.take(0xB0, 96, 0) + port.wait(1.0)
    assert of_kind(readings, "nrpn") == []


def test_half_a_parameter_number_waits_for_ever() -> None:
    """The second half of another sequence does not complete it; a whole sequence afterwards does its work."""
    port = Port()
    port.take(0xB0, 99, 2)
    port.take(0xB0, 98, 44, wait_s=SELECT_TIMEOUT_S * 1.1)
    readings = port.take(0xB0, 6, 1) + port.take(0xB0, 38, 2)
    assert of_kind(readings, "nrpn") == []
    port.take(0xB0, 99, 0, 0xB0, 98, 7)
    readings = port.take(0xB0, 6, 1) + port.take(0xB0, 38, 2)
    assert of_kind(readings, "nrpn") == [Reading(Control("nrpn", 1, 7), 130)]


def test_increments_of_an_nrpn_are_lost() -> None:
    port = Port()
    port.take(0xB0, 99, 2, 0xB0, 98, 44)
    readings = port.take(0xB0, 96, 0) + port.take(0xB0, 97, 0)
    control = Control("nrpn", 1, 300)
    assert of_kind(readings, "nrpn") == [Reading(control, 1, True), Reading(control, -1, True)]


@pytest.mark.parametrize(
    ("encoding", "up", "down"),
    [
        ("relative-twos-complement", [1, 2, 63], [127, 126, 65]),
        ("relative-binary-offset", [65, 66, 127], [63, 62, 1]),
        ("relative-signed-bit", [1, 2, 63], [65, 66, 127]),
    ],
)
def test_an_encoder_turns_the_wrong_way(encoding: Encoding, up: list[int], down: list[int]) -> None:
    steps = ENCODINGS[encoding]
    assert [steps(value) for value in up] == [1, 2, 63]
    assert [steps(value) for value in down] == [-1, -2, -63]


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(["cc", "cc14", "nrpn", "note", "pitch_bend"]),
    channel=st.integers(1, 16),
    number=st.integers(0, 16382),
    value=st.integers(0, 16383),
)
def test_what_is_sent_back_is_not_what_the_control_would_say(
    kind: Kind, channel: int, number: int, value: int
) -> None:
    """The bytes of `encode`, read again, are one reading of that control with that value."""
    control = Control(
        kind, channel, {"cc14": number % 32, "nrpn": number, "pitch_bend": 0}.get(kind, number % 128)
    )
    value = min(value, control.top)
    found = of_kind(Port().take(*encode(control, value)), kind)
    assert [r for r in found if r.control == control] == [Reading(control, value)]


def test_random_messages_fill_the_memory_or_leave_a_stuck_state() -> None:
    """A million random bytes, most of them control changes; then an NRPN, a 14-bit value and a note arrive."""
    generator = random.Random(14)
    port = Port()
    for _ in range(200):
        port.take(*generator.randbytes(2500), wait_s=0.01)
        port.take(
            *(
                b
                for _ in range(833)
                for b in (0xB0, generator.choice((99, 98, 6, 38, 96)), generator.randrange(128))
            )
        )
        port.wait(0.01)
    assert len(port.reader._pairs) <= 4096 + 16 * 32 + 1
    port.take(0xB0, 99, 2, 0xB0, 98, 44)
    readings = port.take(0xB0, 6, 64) + port.take(0xB0, 38, 5)
    assert Reading(Control("nrpn", 1, 300), 64 << 7 | 5) in readings
    readings = port.take(0xB3, 7, 3) + port.take(0xB3, 39, 4) + port.take(0x9F, 60, 1)
    assert Reading(Control("cc14", 4, 7), 3 << 7 | 4) in readings
    assert readings[-1] == Reading(Control("note", 16, 60), 1)
