"""The filters of the unmasking stage beside whatever else on this machine can do their work, in turns, in one run."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from benchmarks.peers.contests import AgainstPeer, AgainstTwin, Contest, WholeStage
from benchmarks.peers.dawdreamer_peer import DawDreamerPeer
from benchmarks.peers.ours import Ours
from benchmarks.peers.pedalboard_peer import PedalboardPeer
from benchmarks.peers.peer import MissingPeerError, Peer
from benchmarks.peers.result import Comparison, Goal, PeersResult, Ratio, Row, title
from benchmarks.peers.scsynth_peer import ScsynthPeer
from benchmarks.twin import NoTwinError, Twin
from dsp.denormals import flush_denormals

Advance = Callable[[str, int, int], None]
"""Told what is done next, how many steps are done, and how many there are."""

Maker = tuple[Comparison, int, Callable[[], Contest]]
"""What is compared, at how many tracks, and what builds both sides."""

TURNS = 8
"""Even, so that each side begins as often as the other; all comparisons have their first turn, then their second."""
IDLE_EVERY = 3
"""Every third turn is followed by one without filters."""
REFERENCE_TRACKS = 128
"""So many tracks get the seconds that are asked for, fewer get more: all turns take about as long."""
FEWEST_PERIODS = 2
OURS = "ours"

PEERS: tuple[tuple[str, Callable[[], Peer], Goal | None], ...] = (
    ("DawDreamer/Faust", DawDreamerPeer, Goal(15.0, at_least=True)),
    ("pedalboard (boards per track)", partial(PedalboardPeer, one_bank=False), Goal(20.0, at_least=True)),
    ("pedalboard (one bank for all)", partial(PedalboardPeer, one_bank=True), Goal(20.0, at_least=True)),
    ("scsynth", ScsynthPeer, None),
)
TWIN = "C twin"
TWIN_GOAL = Goal(1.3, at_least=False)
STAGE = Comparison(
    "whole stage",
    "its filters",
    "lower",
    None,
    same_work=False,
    work="the whole stage: not the same work: it also decides who gives way, and steers the bells, which no peer does",
)


class _Bout:
    """A contest and what came of its turns."""

    def __init__(self, comparison: Comparison, tracks: int, contest: Contest) -> None:
        self.comparison, self.tracks, self.contest = comparison, tracks, contest
        self._ratios: list[float] = []
        self._idle: list[float] = []

    def turn(self, number: int) -> None:
        """Have a turn."""
        self._ratios.append(self.contest.turn(number))
        if number % IDLE_EVERY == 0:
            idle = self.contest.idle_turn()
            if idle is not None:
                self._idle.append(idle)

    def row(self) -> Row:
        """Return the outcome."""
        idle = Ratio.of(self._idle) if self._idle else None
        return Row(self.comparison, self.tracks, Ratio.of(self._ratios), idle)


def measure(
    tracks: Sequence[int], quantum_frames: int, rate_hz: int, seconds: float, advance: Advance
) -> PeersResult:
    """Compare at each of these numbers of tracks; a peer that is not here, or fails, is left out with the reason.

    `seconds` of sound are filtered by each side at 128 tracks, in `TURNS` parts that lie apart in time; fewer tracks
    get more, in proportion.
    """
    if min(*tracks, quantum_frames, rate_hz) < 1 or not seconds > 0.0:
        raise ValueError("tracks, quantum_frames, rate_hz and seconds must be above 0")
    skipped: dict[str, str] = {}
    with ExitStack() as held:
        with _subnormals(flushed=False):  # Faust's compiler needs them, or ends the process
            makers = _makers(tracks, quantum_frames, rate_hz, seconds, held, skipped)
            steps = len(makers) * (1 + TURNS)
            bouts: list[_Bout] = []
            for done, (comparison, count, make) in enumerate(makers):
                advance(f"{comparison.one}, {count} tracks", done, steps)
                try:
                    contest = make()
                except Exception as error:  # what a foreign library throws is not ours to know
                    skipped[title(comparison, count)] = str(error)
                    continue
                held.callback(contest.close)
                bouts.append(_Bout(comparison, count, contest))
        done = len(makers)
        with _subnormals(flushed=True):  # as the engine's render thread has it
            for number in range(TURNS):
                for bout in list(bouts):
                    advance(f"{bout.comparison.one}, {bout.tracks} tracks", done, steps)
                    done += 1
                    try:
                        bout.turn(number)
                    except Exception as error:
                        skipped[title(bout.comparison, bout.tracks)] = str(error)
                        bouts.remove(bout)
        return PeersResult(quantum_frames, rate_hz, tuple(bout.row() for bout in bouts), skipped)


@contextmanager
def _subnormals(*, flushed: bool) -> Iterator[None]:
    before = flush_denormals(flushed)
    try:
        yield
    finally:
        flush_denormals(before)


def _makers(
    tracks: Sequence[int],
    quantum_frames: int,
    rate_hz: int,
    seconds: float,
    held: ExitStack,
    skipped: dict[str, str],
) -> list[Maker]:
    """Return all there is to compare with; `held` takes what is to be let go of, `skipped` what is missing."""
    sides = {count: Ours(count, quantum_frames, rate_hz) for count in dict.fromkeys(tracks)}
    quanta = {count: _quanta_per_turn(ours, seconds) for count, ours in sides.items()}
    stages = [(STAGE, count, partial(WholeStage, ours, quanta[count])) for count, ours in sides.items()]
    return [*_peers(sides, quanta, skipped), *_twins(sides, quanta, held, skipped), *stages]


def _quanta_per_turn(ours: Ours, seconds: float) -> int:
    task = ours.task
    frames = seconds * task.rate_hz / TURNS * REFERENCE_TRACKS / task.tracks
    return max(1, round(max(frames, FEWEST_PERIODS * task.period_frames) / task.quantum_frames))


def _peers(sides: dict[int, Ours], quanta: dict[int, int], skipped: dict[str, str]) -> Iterator[Maker]:
    for name, find, goal in PEERS:
        try:
            peer = find()
        except MissingPeerError as reason:
            skipped[name] = str(reason)
            continue
        work = f"{peer.version}: {peer.work}"
        comparison = Comparison(name, OURS, "higher", goal, peer.same_work, work)
        for count, ours in sides.items():
            yield comparison, count, partial(_against, peer, ours, quanta[count])


def _against(peer: Peer, ours: Ours, quanta: int) -> Contest:
    return AgainstPeer(ours, peer.start(ours.task, quanta), quanta)


def _twins(
    sides: dict[int, Ours], quanta: dict[int, int], held: ExitStack, skipped: dict[str, str]
) -> Iterator[Maker]:
    folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="roomtone-twin-")))
    try:
        twin = Twin(folder)
    except NoTwinError as reason:
        skipped[TWIN] = str(reason)
        return
    work = f"{TWIN}: the same arithmetic, at 48 kHz, without the smoothing; {twin.built_with}"
    comparison = Comparison(OURS, TWIN, "lower", TWIN_GOAL, same_work=True, work=work)
    for count, ours in sides.items():
        yield comparison, count, partial(AgainstTwin, twin, ours, quanta[count])
