"""The graphs of scenes: one deck a scene, and the master that all of them share."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.nodes import (
    Compressor,
    Fader,
    Limiter,
    Mix,
    OutputMeter,
    Pan,
    Players,
    Room,
    Trims,
    Unmask,
)
from engine.nodes.fader import NEVER, UP, Fade
from engine.rendering import Graph
from engine.scene.composition import REFERENCE_LUFS, Composition


@dataclass(frozen=True)
class Deck:
    """A scene in a graph: its nodes are `tracks`, `trim`, …, from the second generation on `tracks@2`, `trim@2`, ….

    `numbers` are those of its tracks in the events of its queue, one for each track of the composition; left out, the
    tracks' own. `rise` and `fall` are when it comes and goes.
    """

    composition: Composition
    generation: int = 1
    queue: int = 0
    numbers: tuple[int, ...] = ()
    rise: Fade = UP
    fall: Fade = NEVER

    def node(self, word: str) -> str:
        """Return the full name of this deck's node `word`."""
        return word if self.generation == 1 else f"{word}@{self.generation}"

    @property
    def track_numbers(self) -> tuple[int, ...]:
        """The number of every track in the events of the queue."""
        return self.numbers or tuple(t.number for t in self.composition.tracks)


def default_graph(composition: Composition) -> Graph:
    """Return sources → trims → unmask → mix → room and fader → master → meter for the tracks of `composition`.

    Outdoors (`room_detected` false) there is no room node: nothing returns.
    """
    return stage_graph([Deck(composition)])


def stage_graph(decks: Sequence[Deck]) -> Graph:
    """Return the graph in which all `decks` play into one master."""
    graph = Graph()
    for deck in decks:
        _add_deck(graph, deck)
    graph.add("glue", Compressor())
    graph.add("limiter", Limiter())
    graph.add("meter", OutputMeter())
    graph.chain("glue", "limiter", "meter")
    for deck in decks:
        graph.connect(deck.node("fader"), "glue")
    graph.set_output("meter")
    return graph


def _add_deck(graph: Graph, deck: Deck) -> None:
    tracks = deck.composition.tracks
    names = tuple(t.name for t in tracks)
    graph.add(deck.node("tracks"), Players(deck.track_numbers, queue=deck.queue))
    graph.add(deck.node("trim"), Trims(names, tuple(t.level_db for t in tracks), REFERENCE_LUFS))
    graph.add(
        deck.node("unmask"),
        Unmask(names, tuple(t.importance for t in tracks), tuple(t.yields for t in tracks)),
    )
    graph.add(
        deck.node("mix"),
        Mix(
            names,
            tuple(t.panning for t in tracks),
            tuple(t.send_db for t in tracks),
            tuple(t.mono for t in tracks),
        ),
    )
    graph.add(deck.node("fader"), Fader(deck.rise, deck.fall))
    graph.chain(*(deck.node(word) for word in ("tracks", "trim", "unmask", "mix", "fader")))
    channels = tuple(t.input_channels for t in tracks)
    if any(channels):
        from engine.nodes.live_input import LiveInput

        graph.add(deck.node("input"), LiveInput(deck.track_numbers, channels))
        graph.connect(deck.node("input"), deck.node("trim"))
    room = deck.composition.scene.room
    if room.detected:
        graph.add(deck.node("room"), Room(room.size, room.damping, room.wet_level, room.width))
        graph.connect(f"{deck.node('mix')}.send", deck.node("room"))
        graph.connect(deck.node("room"), deck.node("fader"))


@dataclass(frozen=True, slots=True)
class StemTaps:
    """Where the stems of a graph are read: `"node.port"` of each."""

    pre: str = "pan_pre.bank"
    post: str = "pan_post.bank"
    room: str = "room.return"


def add_stem_taps(graph: Graph) -> StemTaps:
    """Add the nodes that keep the tracks apart, before and after unmasking, as they are summed to the mix."""
    mix = graph.nodes["mix"]
    if not isinstance(mix, Mix):
        raise TypeError("the graph has no mix of tracks")
    graph.add("pan_pre", Pan(mix))
    graph.add("pan_post", Pan(mix))
    graph.connect("trim", "pan_pre")
    graph.connect("unmask", "pan_post")
    return StemTaps()
