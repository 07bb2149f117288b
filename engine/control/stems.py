"""The stems of a render as files: one a track before and one after unmasking, the room, and what the master made."""

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np

from engine.control.patch import StemTaps, room_nodes
from engine.errors import InputError, Problem
from engine.media import AudioWriter
from engine.rendering import Plan
from engine.scene.composition import Composition
from engine.scene.sounds import SUFFIXES
from engine.spec import Block


class StemWriters:
    """One file a track before and one after unmasking, the room's return, and what the master made of the sum."""

    def __init__(self, folder: Path, composition: Composition, taps: StemTaps, rate_hz: int) -> None:
        self._folder = folder
        self._taps = taps
        self._returns = [f"{word}.return" for word in room_nodes(composition)]
        self._composition = composition
        self._names = [t.name for t in composition.tracks]
        self._rate_hz = rate_hz
        self._stack = ExitStack()

    def __enter__(self) -> "StemWriters":
        files = file_names(self._names)
        try:
            self._refuse_others(files)
            for part in ("pre", "post"):
                (self._folder / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                Problem(
                    f"cannot be made ({error.strerror})", "a folder for the stems", file=str(self._folder)
                )
            ) from None
        with ExitStack() as opening:
            opening.push(self._tidy)
            self._pre = [opening.enter_context(self._file("pre", name)) for name in files]
            self._post = [opening.enter_context(self._file("post", name)) for name in files]
            self._buses = [opening.enter_context(self._file("", n)) for n in ("room", "premaster", "master")]
            self._stack = opening.pop_all()
        return self

    def __exit__(self, *details: Any) -> None:
        self._stack.__exit__(*details)

    def _refuse_others(self, files: Sequence[str]) -> None:
        """Refuse a folder that would hold the tracks of two renders, which nobody could tell apart afterwards."""
        mine = {f"{name}.wav" for name in files}
        others = sorted(
            {
                path.name
                for part in ("pre", "post")
                if (self._folder / part).is_dir()
                for path in (self._folder / part).iterdir()
                if path.suffix.lower()[1:] in SUFFIXES and path.name[0] != "." and path.name not in mine
            }
        )
        if others:
            names = ", ".join(others[:3]) + (" …" if len(others) > 3 else "")
            raise InputError(
                Problem(
                    f"holds tracks of another render: {names}",
                    "an empty folder, or another one",
                    file=str(self._folder),
                )
            )

    def _tidy(self, kind: type[BaseException] | None, *_: Any) -> None:
        """Remove the folders that nothing was written to."""
        if kind is not None:
            for part in ("pre", "post", ""):
                with suppress(OSError):
                    (self._folder / part).rmdir()

    def _file(self, part: str, name: str) -> AudioWriter:
        path = self._folder / part / f"{name}.wav"
        self._composition.spare(path)
        return AudioWriter(path, self._rate_hz)

    def write(self, plan: Plan, master: Block) -> None:
        """Write one quantum of every stem."""
        heard = len(master)
        pre, post = plan.tap(self._taps.pre)[:heard], plan.tap(self._taps.post)[:heard]
        tracks = len(self._names)
        for t in range(tracks):
            self._pre[t].write(pre[:, t::tracks])
            self._post[t].write(post[:, t::tracks])
        dry = plan.tap("mix.dry")[:heard]
        wet = np.zeros_like(dry)
        for name in self._returns:
            wet += plan.tap(name)[:heard]
        for writer, bus in zip(self._buses, (wet, dry + wet, master), strict=True):
            writer.write(bus)


def file_names(tracks: Sequence[str]) -> list[str]:
    """Return one file name (without suffix) a track: its name with everything but word characters as `_`."""
    names: list[str] = []
    for track in tracks:
        stem = "".join(c if c.isalnum() or c in "-_" else "_" for c in track) or "track"
        name, count = stem, 1
        while name.lower() in (n.lower() for n in names):
            count += 1
            name = f"{stem}_{count}"
        names.append(name)
    return names
