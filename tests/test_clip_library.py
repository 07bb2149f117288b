"""Clips of several scenes in one engine: shared while they are the same, let go when nobody plays them."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.clips import CLIP_CAPACITY
from engine.control.clip_library import ClipLibrary
from engine.errors import HostError, SoundError
from engine.scene.material import Material


class Shelf:
    def __init__(self) -> None:
        self.clips: dict[int, NDArray[np.float32]] = {}
        self.full = False

    def share_clips(self, clips: Mapping[int, NDArray[np.float32]]) -> None:
        if self.full:
            raise HostError("no room")
        assert not set(clips) & set(self.clips)
        self.clips.update(clips)

    def unload(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            del self.clips[number]


def made(name: str) -> Material:
    return Material(name, name, np.zeros((4, 2), np.float32), True, -23.0, "")


def test_a_sound_of_two_scenes_is_held_once_until_both_are_gone() -> None:
    shelf, library = Shelf(), None
    library = ClipLibrary(shelf)
    rain, car, bird = made("rain"), made("car"), made("bird")
    first = library.take([rain, car])
    second = library.take([bird, rain])
    assert first == (0, 1)
    assert second == (2, 0)
    library.give_back(first)
    assert sorted(shelf.clips) == [0, 2]
    assert library.take([car]) == (1,)
    library.give_back(second)
    assert sorted(shelf.clips) == [1]
    assert len(library) == 1


def test_without_room_nothing_has_changed() -> None:
    shelf = Shelf()
    library = ClipLibrary(shelf)
    rain = made("rain")
    library.take([rain])
    shelf.full = True
    with pytest.raises(HostError):
        library.take([rain, made("car")])
    library.give_back((0,))
    assert len(library) == len(shelf.clips) == 0


def test_more_sounds_than_an_engine_holds_are_refused() -> None:
    library = ClipLibrary(Shelf())
    with pytest.raises(SoundError, match=f"more than {CLIP_CAPACITY} sounds"):
        library.take([made(str(n)) for n in range(CLIP_CAPACITY + 1)])
    assert len(library) == 0
