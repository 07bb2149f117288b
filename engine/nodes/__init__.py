"""The nodes: one file each, description and processor. The only home of pedalboard's plug-ins."""

from engine.nodes.compressor import Compressor
from engine.nodes.early import EarlyReflections
from engine.nodes.fader import Fader
from engine.nodes.fdn_room import FdnRoom
from engine.nodes.limiter import Limiter
from engine.nodes.live_input import LiveInput
from engine.nodes.meter import OutputMeter
from engine.nodes.mix import Mix, Pan
from engine.nodes.players import Players
from engine.nodes.room import Room
from engine.nodes.trims import Trims
from engine.nodes.unmask import Unmask

__all__ = [
    "Compressor",
    "EarlyReflections",
    "Fader",
    "FdnRoom",
    "Limiter",
    "LiveInput",
    "Mix",
    "OutputMeter",
    "Pan",
    "Players",
    "Room",
    "Trims",
    "Unmask",
]
