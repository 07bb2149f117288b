"""What a peer is to the comparison."""

from typing import Protocol

from benchmarks.peers.task import Task


class MissingPeerError(Exception):
    """A peer that cannot be compared with here; the message says why and, where that helps, what to do."""


class Runner(Protocol):
    """A peer at work on one task."""

    def run(self, quanta: int) -> float:
        """Do so many quanta of the task; return the seconds of processor time that took."""
        ...

    def idle(self, quanta: int) -> float | None:
        """The same without any filter: what playing and mixing alone take; None where there is nothing but filters."""
        ...

    def close(self) -> None:
        """Let go of all it holds."""
        ...


class Peer(Protocol):
    """A program or library that can be given the task."""

    version: str
    """Name and number."""
    same_work: bool
    work: str
    """How it is done there, and what is not the same."""

    def start(self, task: Task, quanta: int) -> Runner:
        """Build everything, for at most so many quanta at a time; raises MissingPeerError where it cannot."""
        ...
