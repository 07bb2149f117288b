"""Keeps what is played: follows the ring of rendered frames into a file, with a sidecar that tells how it went."""

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import RoomtoneError
from engine.host.ring import RingTap
from engine.media import AudioWriter


class Recorder:
    """Writes every rendered frame to `path` (.wav or .flac), once, and beside it `NAME.json`. Not for the engine side.

    What is recorded is what was rendered: an under-run, which is heard, is not in it but marked in the sidecar. Raises
    SoundError at once if the name won't do; there is a file only from `start` on. `finished` is True when it has its
    name.
    """

    def __init__(self, path: Path, rate_hz: int) -> None:
        AudioWriter(path, rate_hz).discard()
        self.path = path
        self.finished = False
        self._rate_hz = rate_hz
        self._writer: AudioWriter | None = None
        self._tap: RingTap | None = None
        self._first_frame = 0
        self._digest = hashlib.sha256()

    def start(self, tap: RingTap) -> None:
        """Open the file; what `tap` reads goes into it."""
        self._writer = AudioWriter(self.path, self._rate_hz)
        self._tap = tap
        self._first_frame = tap.frame

    def take(self) -> None:
        """Write what has been rendered since the last call; the ring holds 2.7 s at 48 kHz."""
        if self._writer is None or self._tap is None:
            return
        try:
            frames = self._tap.read()
            self._writer.write(frames)
            self._digest.update(frames.astype("<f4", copy=False).tobytes())
        except BaseException:
            self.discard()
            raise

    @property
    def sidecar(self) -> Path:
        """The file beside the recording: `take.wav.json` for `take.wav`."""
        return self.path.with_name(f"{self.path.name}.json")

    def finish(self, told: Mapping[str, Any] | None = None) -> None:
        """Write the rest, give the file its name, and write `told` to the sidecar.

        Raises RoomtoneError if frames were missed.
        """
        self.take()
        writer, tap, self._writer = self._writer, self._tap, None
        if writer is None or tap is None:
            return
        writer.close()
        self.finished = True
        if told is not None:
            head = {
                "recording": self.path.name,
                "frames": tap.frame - self._first_frame,
                "first_frame": self._first_frame,
                "sha256": self._digest.hexdigest(),
            }
            self._write_sidecar({**head, **told})
        if tap.lost_frames:
            raise RoomtoneError(
                f"{self.path}: {tap.lost_frames} frames are missing: the recording was held up"
            )

    def discard(self) -> None:
        """Give up the recording and leave no file."""
        writer, self._writer = self._writer, None
        if writer:
            writer.discard()

    def _write_sidecar(self, told: Mapping[str, Any]) -> None:
        part = self.sidecar.with_name(f".{self.sidecar.name}.part")
        try:
            part.write_text(_as_json(told) + "\n", encoding="utf-8")
            os.replace(part, self.sidecar)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink()
            raise RoomtoneError(f"{self.sidecar}: cannot be written ({error.strerror})") from None


def _as_json(told: Mapping[str, Any]) -> str:
    """Return JSON with a line for each field, and one for each row where there are thousands of them."""
    rows = {
        name: "[\n" + ",\n".join(f"    {json.dumps(row, ensure_ascii=False)}" for row in value) + "\n  ]"
        for name, value in told.items()
        if isinstance(value, list) and value
    }
    fields = [
        f"  {json.dumps(name)}: {rows.get(name) or json.dumps(value, ensure_ascii=False)}"
        for name, value in told.items()
    ]
    return "{\n" + ",\n".join(fields) + "\n}"
