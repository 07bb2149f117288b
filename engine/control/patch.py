"""The default graph of a scene."""

from dataclasses import dataclass

from engine.nodes import Compressor, Limiter, Mix, OutputMeter, Pan, Players, Room, Trims, Unmask
from engine.rendering import Graph
from engine.scene.composition import REFERENCE_LUFS, Composition


def default_graph(composition: Composition) -> Graph:
    """Return sources → trims → unmask → mix → room and master → meter for the tracks of `composition`.

    Outdoors (`room_detected` false) there is no room node: nothing returns.
    """
    tracks = composition.tracks
    names = tuple(t.name for t in tracks)
    graph = Graph()
    graph.add("tracks", Players(tuple(t.number for t in tracks)))
    graph.add("trim", Trims(names, tuple(t.level_db for t in tracks), REFERENCE_LUFS))
    graph.add("unmask", Unmask(names, tuple(t.importance for t in tracks), tuple(t.yields for t in tracks)))
    graph.add(
        "mix",
        Mix(
            names,
            tuple(t.panning for t in tracks),
            tuple(t.send_db for t in tracks),
            tuple(t.mono for t in tracks),
        ),
    )
    graph.add("glue", Compressor())
    graph.add("limiter", Limiter())
    graph.add("meter", OutputMeter())
    graph.chain("tracks", "trim", "unmask", "mix", "glue", "limiter", "meter")
    room = composition.scene.room
    if room.detected:
        graph.add("room", Room(room.size, room.damping, room.wet_level, room.width))
        graph.connect("mix.send", "room")
        graph.connect("room", "glue")
    graph.set_output("meter")
    return graph


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
