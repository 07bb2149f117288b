"""Keys of the live view: what a terminal sends is read whole, and leaves the terminal as it was."""

import os
import pty
import sys
import termios

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cli.keys import Keys, split


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("n", ["n"]),
        (" q", ["space", "q"]),
        ("\x1b[C\x1b[D", ["right", "left"]),
        ("\x1bOC\x1bOH", ["right", "home"]),
        ("\x1b[1~\x1b[H", ["home", "home"]),
        ("\x1b[15~n", ["n"]),
        ("\x1b[1;5Cp", ["p"]),
        ("\x1b", ["escape"]),
        ("\x1b\x1b[C", ["escape", "right"]),
        ("\x1b[1;2C\x1b[1;2D\x1b[A", ["shift-right", "shift-left", "up"]),
        ("", []),
    ],
)
def test_keys_are_told_apart(text: str, keys: list[str]) -> None:
    assert split(text) == keys


@given(st.text(max_size=40))
def test_no_text_is_too_strange(text: str) -> None:
    assert all(text_key for text_key in split(text))


def test_keys_come_without_return_and_the_terminal_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    outer, inner = pty.openpty()
    with os.fdopen(inner) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        before = termios.tcgetattr(inner)
        with Keys() as keys:
            assert keys.read() == []
            os.write(outer, b"\x1b[Cn")
            assert keys.read() == ["right", "n"]
        assert termios.tcgetattr(inner) == before
    os.close(outer)


def test_without_a_terminal_there_are_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    with os.fdopen(read) as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)
        os.write(write, b"q")
        with Keys() as keys:
            assert keys.read() == []
    os.close(write)
