"""Which clip number each sound has in the engine. Scenes that use the same sound share it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.clips import CLIP_CAPACITY
from engine.errors import SoundError
from engine.scene.material import Material


class ClipHolder(Protocol):
    """What holds the clips by number: the engine process, or one of this process."""

    def share_clips(self, clips: Mapping[int, NDArray[np.float32]]) -> None:
        """Hold these clips (number -> float32 `[frames, 2]`)."""
        ...

    def unload(self, numbers: Sequence[int]) -> None:
        """Let go of clips."""
        ...


class ClipLibrary:
    """Counts who uses what; a material is recognised by being the very same object."""

    def __init__(self, holder: ClipHolder) -> None:
        self._holder = holder
        self._materials: dict[int, Material] = {}
        self._users: dict[int, int] = {}

    def take(self, materials: Sequence[Material]) -> tuple[int, ...]:
        """Return the clip number of each of `materials`, which the holder then has.

        Raises SoundError when it can hold no more, HostError where there is no room; then nothing has changed.
        """
        known = {id(material): number for number, material in self._materials.items()}
        free = (n for n in range(CLIP_CAPACITY) if n not in self._materials)
        fresh: dict[int, Material] = {}
        numbers = []
        for material in materials:
            number = known.get(id(material))
            if number is None:
                number = next(free, None)
                if number is None:
                    raise SoundError(f"more than {CLIP_CAPACITY} sounds at once")
                known[id(material)] = number
                fresh[number] = material
            numbers.append(number)
        if fresh:
            self._holder.share_clips({n: m.samples for n, m in fresh.items()})
        self._materials.update(fresh)
        for number in numbers:
            self._users[number] = self._users.get(number, 0) + 1
        return tuple(numbers)

    def give_back(self, numbers: Sequence[int]) -> None:
        """Let go of what `take` returned, once no event that names it can sound any more."""
        unused = []
        for number in numbers:
            self._users[number] -= 1
            if self._users[number] == 0:
                del self._users[number], self._materials[number]
                unused.append(number)
        if unused:
            self._holder.unload(unused)

    def __len__(self) -> int:
        return len(self._materials)
