"""scsynth, the server of SuperCollider, rendering a score offline: a synth per track, written here to the byte."""

import math
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.peers import osc, synthdef
from benchmarks.peers.peer import MissingPeerError
from benchmarks.peers.scsynth_tracks import silent_track, track
from benchmarks.peers.synthdef import SynthDef
from benchmarks.peers.task import Samples, Task

LIMIT_S = 120.0
"""After that long a rendering is given up."""
SHORT_QUANTA = 16
"""The length of the shorter score: what both take to start cancels out."""
DIFFERENCE_S, MOST_TIMES = 0.1, 64
"""How long the difference is to take at least, and how many times the turn's sound may be rendered for it."""
FIRST_TRACK_QUANTA = 4096
"""What is rendered to find that out."""
IDLE_TIMES = 8
"""How many times more it is without filters, which takes so much less."""
POWER_PER_TRACK = 0.05
"""Noise in full scale has a mean square of 0.33, and bells take away less than 6 dB: below that, tracks are missing."""
FIRST_NODE = 1000


class ScsynthPeer:
    """scsynth in non-realtime mode; two lengths of score are timed, and their difference counts."""

    same_work = True
    work = (
        "the same filters (SOS, MulAdd), but all at the full rate and smoothed every frame (ours: low bands at a lower"
        " rate, every control period); blocks of a quantum; it makes the noise itself"
    )

    def __init__(self) -> None:
        program = shutil.which("scsynth")
        if program is None:
            raise MissingPeerError("scsynth is not installed: apt install supercollider-server")
        if sys.platform == "win32":
            raise MissingPeerError("the processor time of a child process cannot be read on Windows")
        self._program = program
        done = subprocess.run([program, "-v"], capture_output=True, text=True, timeout=LIMIT_S, check=False)
        self.version = " ".join(done.stdout.split()[:2]) or "scsynth, unknown version"

    def start(self, task: Task, quanta: int) -> "_Scores":
        """Write the definitions and have the synths run once."""
        return _Scores(self._program, task, quanta)


def render(
    program: str,
    folder: Path,
    definitions: Sequence[SynthDef],
    quanta: int,
    task: Task,
    *,
    outputs: int = 2,
    heard: Path | None = None,
) -> tuple[float, Samples]:
    """Render so many blocks of one synth per definition.

    Returns the seconds of processor time that the process took, and float32[frames, outputs]. `heard` is a stereo file
    at the inputs.
    """
    import resource

    bundles = [osc.bundle(0.0, osc.message("/d_recv", synthdef.file(one))) for one in definitions]
    bundles += [
        osc.bundle(0.0, osc.message("/s_new", one.name, FIRST_NODE + number, 1, 0))
        for number, one in enumerate(definitions)
    ]
    bundles.append(osc.bundle(task.duration_s(quanta), osc.message("/c_set", 0, 0.0)))
    (folder / "score.osc").write_bytes(osc.score(bundles))
    buses = max(16384, len(task.bands) * len(definitions))
    command = [
        *(program, "-N", "score.osc", str(heard or "_"), "out.wav", str(task.rate_hz), "WAV", "float"),
        *("-i", "2" if heard else "0", "-o", str(outputs), "-z", str(task.quantum_frames), "-D", "0"),
        *("-w", "1024", "-m", "262144", "-c", str(buses), "-V", "-1"),
        *("-n", str(2 * FIRST_NODE + len(definitions)), "-d", str(1024 + len(definitions))),
    ]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise MissingPeerError(f"it did not finish within {LIMIT_S:.0f} s") from None
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = (done.stdout + done.stderr).strip().splitlines()
    if done.returncode:
        raise MissingPeerError(
            f"it ended with exit code {done.returncode}: {said[-1] if said else 'no message'}"
        )
    # Its exit code is 0 even if no synth could be made.
    if failures := [line for line in said if line.startswith(("exception", "FAILURE"))]:
        raise MissingPeerError(failures[0])
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, read_wav(folder / "out.wav", outputs)


def read_wav(path: Path, channels: int) -> Samples:
    """Return float32[frames, channels] of a WAV file of 32-bit floats."""
    data, at = path.read_bytes(), 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        if name == b"data":
            return np.frombuffer(data[at + 8 : at + 8 + size], "<f4").reshape(-1, channels)
        at += 8 + size + size % 2
    raise MissingPeerError("what it wrote is no WAV file")


class _Scores:
    def __init__(self, program: str, task: Task, quanta: int) -> None:
        self._program = program
        self._task = task
        self._full = [
            track(f"track{t}", task, bells, t * len(task.bands)) for t, bells in enumerate(task.bells)
        ]
        self._wire = [silent_track(f"track{t}") for t in range(task.tracks)]
        self._folder = tempfile.TemporaryDirectory(prefix="roomtone-scsynth-")
        first = max(quanta, math.ceil(FIRST_TRACK_QUANTA / task.tracks))
        try:
            quantum_s = self._difference(self._full, first) / first
        except BaseException:
            self.close()
            raise
        # A difference that is shorter than the start varies would say nothing.
        self._times = min(MOST_TIMES, math.ceil(DIFFERENCE_S / max(1e-9, quantum_s * quanta)))

    def run(self, quanta: int) -> float:
        """Render a short score, and one that is longer by as many blocks or more; return what so many took."""
        return self._difference(self._full, self._times * quanta) / self._times

    def idle(self, quanta: int) -> float | None:
        """The same with tracks that make their noise and nothing else."""
        times = IDLE_TIMES * self._times
        return self._difference(self._wire, times * quanta) / times

    def close(self) -> None:
        """Remove the scores and what was rendered."""
        self._folder.cleanup()

    def _difference(self, definitions: Sequence[SynthDef], quanta: int) -> float:
        short_s, _ = self._timed(definitions, SHORT_QUANTA)
        long_s, y = self._timed(definitions, SHORT_QUANTA + quanta)
        if not np.mean(y**2) > POWER_PER_TRACK * self._task.tracks:
            raise MissingPeerError("not all of its tracks are heard")
        return long_s - short_s

    def _timed(self, definitions: Sequence[SynthDef], quanta: int) -> tuple[float, Samples]:
        return render(self._program, Path(self._folder.name), definitions, quanta, self._task)
