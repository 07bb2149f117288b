"""The graphs of scenes: one deck a scene, and the master that all of them share."""

from collections.abc import Sequence
from dataclasses import dataclass

from dsp.units import amplitude_to_db
from engine.impulse import ImpulseResponse
from engine.node import Node
from engine.nodes import (
    Compressor,
    ConvolutionRoom,
    Fader,
    Limiter,
    LoudnessTrim,
    Mix,
    OutputMeter,
    Pan,
    Players,
    Room,
    SlapEcho,
    Trims,
    Unmask,
)
from engine.nodes.fader import NEVER, UP, Fade
from engine.rendering import Graph
from engine.scene.composition import REFERENCE_LUFS, Composition
from engine.scene.schema import Room as SceneRoom


@dataclass(frozen=True)
class Deck:
    """A scene in a graph: its nodes are `tracks`, `trim`, …, from the second generation on `tracks@2`, `trim@2`, ….

    `numbers` are those of its tracks in the events of its queue, one for each track of the composition; left out, the
    tracks' own. `rise` and `fall` are when it comes and goes. `gain_db` is what was measured to bring
    it to its target; None where nothing was: then it is predicted, and trimmed.
    """

    composition: Composition
    generation: int = 1
    queue: int = 0
    numbers: tuple[int, ...] = ()
    rise: Fade = UP
    fall: Fade = NEVER
    gain_db: float | None = None

    def node(self, word: str) -> str:
        """Return the full name of this deck's node `word`."""
        return word if self.generation == 1 else f"{word}@{self.generation}"

    @property
    def track_numbers(self) -> tuple[int, ...]:
        """The number of every track in the events of the queue."""
        return self.numbers or tuple(t.number for t in self.composition.tracks)


def default_graph(composition: Composition, gain_db: float | None = None) -> Graph:
    """Return sources → (inserts) → trims → unmask → mix and room → loudness → fader → master → meter for `composition`.

    `gain_db` is that of the whole where it was measured; else it is predicted, and trimmed. Without a target there is
    no node `loudness`.

    The room is what the scene says: a reverb, or a measured impulse response. Outdoors (`room_detected` false) it is
    one echo, or there is no room node and nothing returns.
    """
    return stage_graph([Deck(composition, gain_db=gain_db)])


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
    first = _add_inserts(graph, deck)
    graph.chain(deck.node("tracks"), *dict.fromkeys((first, deck.node("trim"))))
    graph.chain(*(deck.node(word) for word in ("trim", "unmask", "mix")))
    bus = "fader"
    if deck.composition.scene.loudness is not None:
        bus = "loudness"
        graph.add(deck.node(bus), _loudness(deck, deck.composition.scene.loudness))
        graph.chain(deck.node(bus), deck.node("fader"))
    graph.connect(deck.node("mix"), deck.node(bus))
    channels = tuple(t.input_channels for t in tracks)
    if any(channels):
        from engine.nodes.live_input import LiveInput

        graph.add(deck.node("input"), LiveInput(deck.track_numbers, channels))
        graph.connect(deck.node("input"), first)
    for word, node in room_nodes(deck.composition, deck.node("room")).items():
        graph.add(deck.node(word), node)
        graph.connect(f"{deck.node('mix')}.send", deck.node(word))
        graph.connect(deck.node(word), deck.node(bus))


def _add_inserts(graph: Graph, deck: Deck) -> str:
    """Add the compressors of tracks, where there are any; return the node that takes the sources.

    They stand before the levels of the tracks, so that no fader changes what a compressor does.
    """
    tracks = deck.composition.tracks
    squeezes = [(t.name, squeeze) for t in tracks if (squeeze := t.squeeze) is not None]
    if not squeezes:
        return deck.node("trim")
    # Imported late: few scenes have any.
    from engine.nodes.insert_compressor import Insert, InsertCompressors

    inserts = tuple(Insert(name, **vars(squeeze)) for name, squeeze in squeezes)
    graph.add(deck.node("insert"), InsertCompressors(tuple(t.name for t in tracks), inserts))
    return deck.node("insert")


def _loudness(deck: Deck, target_lufs: float) -> LoudnessTrim:
    if deck.gain_db is not None:
        return LoudnessTrim(target_lufs, target_lufs - deck.gain_db, trim_range_db=0.0)
    expected_lufs = deck.composition.expected_lufs
    return LoudnessTrim(target_lufs, target_lufs if expected_lufs is None else expected_lufs)


def room_nodes(composition: Composition, name: str = "room") -> dict[str, Node]:
    """Return what answers the tracks' sends in the room of `composition`, by word: `room`, and `early` beside it.

    `name` is that of the room's node: where it has a size and a damping to turn, the early reflections follow them.
    """
    room = composition.scene.room
    nodes: dict[str, Node] = {}
    tail = make_room(room, composition.impulse)
    if tail is not None:
        nodes["room"] = tail
    if room.detected and room.early > 0.0:
        from engine.nodes.early import EarlyReflections

        level_db = amplitude_to_db(room.early)
        if composition.impulse is None:
            nodes["early"] = EarlyReflections(early_level_db=level_db, room=name)
        else:
            nodes["early"] = EarlyReflections(room.size, room.damping, level_db)
    return nodes


def make_room(room: SceneRoom, impulse: ImpulseResponse | None = None) -> Node | None:
    """Return the node of a room, None where nothing answers."""
    if not room.detected:
        return None if room.echo_ms is None else SlapEcho(room.echo_ms, room.wet_level)
    if impulse is not None:
        return ConvolutionRoom(impulse, room.wet_level)
    if room.engine == "fdn":
        from engine.nodes.fdn_room import FdnRoom

        return FdnRoom(room.size, room.damping, room.wet_level, room.width)
    return Room(room.size, room.damping, room.wet_level, room.width)


@dataclass(frozen=True, slots=True)
class StemTaps:
    """Where the stems of a graph are read: `"node.port"` of each."""

    pre: str = "pan_pre.bank"
    post: str = "pan_post.bank"


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
