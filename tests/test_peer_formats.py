"""What is written for other programs must be what their formats say, to the byte."""

import struct

import pytest

from benchmarks.peers import osc, synthdef
from benchmarks.peers.synthdef import AUDIO, SynthDef, Wire


def test_a_synth_definition_is_what_the_published_format_says() -> None:
    """SinOsc at 440 Hz to bus 0, spelled out: SCgf version 2, two constants, no parameters, two units, no variants."""
    made = SynthDef("sine")
    made.unit("Out", AUDIO, [0.0, made.sound("SinOsc", 440.0, 0.0)], outputs=0)
    expected = (
        b"SCgf"
        b"\0\0\0\2"  # version
        b"\0\1"  # definitions
        b"\4sine"
        b"\0\0\0\2\x43\xdc\0\0\0\0\0\0"  # constants: 440, 0
        b"\0\0\0\0"  # parameters
        b"\0\0\0\0"  # names of parameters
        b"\0\0\0\2"  # units
        b"\6SinOsc\2\0\0\0\2\0\0\0\1\0\0"  # audio rate, 2 inputs, 1 output, special index 0
        b"\xff\xff\xff\xff\0\0\0\0"  # constant 0
        b"\xff\xff\xff\xff\0\0\0\1"  # constant 1
        b"\2"  # the output's rate
        b"\3Out\2\0\0\0\2\0\0\0\0\0\0"
        b"\xff\xff\xff\xff\0\0\0\1"
        b"\0\0\0\0\0\0\0\0"  # unit 0, output 0
        b"\0\0"  # variants
    )
    assert synthdef.file(made) == expected


def test_a_unit_keeps_both_outputs_and_its_operator() -> None:
    """`In` has two outputs of audio rate; the second feeds a UnaryOpUGen whose special index 12 squares."""
    made = SynthDef("square")
    left, right = made.unit("In", AUDIO, [2.0], outputs=2)
    assert (left, right) == (Wire(0, 0), Wire(0, 1))
    made.sound("UnaryOpUGen", right, special=synthdef.SQUARED)
    expected = (
        b"\2In\2\0\0\0\1\0\0\0\2\0\0\xff\xff\xff\xff\0\0\0\0\2\2"
        b"\x0bUnaryOpUGen\2\0\0\0\1\0\0\0\1\0\x0c\0\0\0\0\0\0\0\1\2\0\0"
    )
    assert synthdef.file(made).endswith(expected)


def test_a_file_of_two_definitions_says_so() -> None:
    both = synthdef.file(SynthDef("a"), SynthDef("b"))
    assert both[8:10] == b"\0\2"
    assert both[10:] == SynthDef("a").as_bytes() + SynthDef("b").as_bytes()


def test_equal_constants_are_written_once() -> None:
    made = SynthDef("same")
    made.sound("SinOsc", 440.0, 440.0)
    assert made.as_bytes()[5:13] == b"\0\0\0\1\x43\xdc\0\0"


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (
            osc.message("/oscillator/4/frequency", 440.0),
            "2f6f7363 696c6c61 746f722f 342f6672 65717565 6e637900 2c660000 43dc0000",
        ),
        (
            osc.message("/foo", 1000, -1, "hello", 1.234, 5.678),
            "2f666f6f 00000000 2c696973 66660000 000003e8 ffffffff 68656c6c 6f000000 3f9df3b6 40b5b22d",
        ),
    ],
    ids=["frequency", "foo"],
)
def test_a_message_is_the_example_of_the_specification(made: bytes, expected: str) -> None:
    """The two examples of The Open Sound Control 1.0 Specification, byte by byte."""
    assert made == bytes.fromhex(expected)


@pytest.mark.parametrize("size", range(6))
def test_a_blob_is_padded_to_four_bytes(size: int) -> None:
    made = osc.message("/b", b"x" * size)
    assert made == b"/b\0\0,b\0\0" + struct.pack(">i", size) + b"x" * size + b"\0" * (-size % 4)


def test_the_time_of_a_bundle_is_fixed_point_seconds() -> None:
    """1.5 s are 0x00000001 80000000; every message stands behind its length, and every bundle of a score too."""
    made = osc.bundle(1.5, osc.message("/a"), osc.message("/b", 7))
    elements = "00000008 2f610000 2c000000 0000000c 2f620000 2c690000 00000007"
    assert made == b"#bundle\0" + bytes.fromhex("00000001 80000000" + elements)
    assert osc.score([made, made]) == 2 * (struct.pack(">i", len(made)) + made)
