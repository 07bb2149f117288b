"""Which of the system's ways to speak MIDI is used."""

import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Literal, cast, get_args

from engine.errors import InputError, Problem

Api = Literal["auto", "alsa", "jack", "coremidi", "winmm"]

VARIABLE = "ROOMTONE_MIDI_API"
SEQUENCER = Path("/dev/snd/seq")
NUMBERS: dict[str, int] = {"coremidi": 1, "alsa": 2, "jack": 3, "winmm": 4}
"""RtMidi::Api of RtMidi.h."""


def read_api(wish: str = "auto") -> Api:
    """Return the one that is asked for, by `wish` or else by the variable `ROOMTONE_MIDI_API`; raises InputError."""
    asked = wish if wish != "auto" else os.environ.get(VARIABLE, "").strip().lower() or "auto"
    if asked not in get_args(Api):
        field = "api" if wish != "auto" else VARIABLE
        raise InputError(Problem(repr(asked), "one of " + ", ".join(get_args(Api)), field))
    return cast(Api, asked)


def choose_api(
    wish: Api, compiled: Collection[int], platform: str = sys.platform, sequencer: Path = SEQUENCER
) -> Api:
    """Return the one to use of those that are `compiled` in; `auto` never comes out.

    By default it is CoreMIDI on macOS, WinMM on Windows, on Linux the ALSA sequencer, or JACK where there is none.
    Raises InputError if the system does not have what is asked for.
    """
    if wish == "auto":
        own: dict[str, Api] = {"darwin": "coremidi", "win32": "winmm"}
        wish = own.get(platform, "alsa" if sequencer.exists() else "jack")
    if NUMBERS[wish] not in compiled:
        there = ", ".join(name for name, number in NUMBERS.items() if number in compiled) or "none"
        raise InputError(Problem(f"{wish} is not built in", f"there is: {there}", "MIDI API"))
    return wish
