"""The control side's clips in shared memory: who holds which segment, and when it may go."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from engine.host.shm import Segment, aligned
from engine.messages import ClipRef


class SharedClips:
    """Clips by number, one segment for all that were shared at once; a segment goes with the last of its clips."""

    def __init__(self) -> None:
        self._segments: dict[str, Segment] = {}
        self._refs: dict[int, ClipRef] = {}

    @property
    def refs(self) -> tuple[ClipRef, ...]:
        """Where all clips are."""
        return tuple(self._refs.values())

    @property
    def names(self) -> tuple[str, ...]:
        """The segments there are."""
        return tuple(self._segments)

    def share(self, clips: Mapping[int, NDArray[np.float32]]) -> tuple[ClipRef, ...]:
        """Copy `clips` (number -> float32 `[frames, 2]`) to a new segment and return where they are.

        Raises HostError where there is no room, ValueError for an array of another shape or a number that is taken.
        """
        for number, samples in clips.items():
            if number in self._refs:
                raise ValueError(f"there is a clip {number} already")
            if samples.dtype != np.float32 or samples.ndim != 2 or samples.shape[1] != 2:
                raise ValueError(f"clip {number} is float32 [frames, 2], not {samples.dtype} {samples.shape}")
        if not clips:
            return ()
        segment = Segment.create(sum(aligned(samples.nbytes) for samples in clips.values()))
        self._segments[segment.name] = segment
        refs = []
        offset = 0
        for number, samples in clips.items():
            segment.view(np.float32, samples.size, offset)[:] = samples.ravel()
            refs.append(ClipRef(number, segment.name, offset, len(samples)))
            offset = aligned(offset + samples.nbytes)
        self._refs |= {ref.number: ref for ref in refs}
        return tuple(refs)

    def forget(self, numbers: Iterable[int]) -> list[Segment]:
        """Forget the clips `numbers`; return the segments that nothing is left in, for the caller to close."""
        for number in numbers:
            self._refs.pop(number, None)
        used = {ref.memory for ref in self._refs.values()}
        return [self._segments.pop(name) for name in list(self._segments) if name not in used]

    def close(self) -> None:
        """Let go of all of it."""
        for segment in self.forget(list(self._refs)):
            segment.close()
