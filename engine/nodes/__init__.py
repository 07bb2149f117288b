"""The nodes: one file each, description and processor. The only home of pedalboard's plug-ins.

`live_input`, `fdn_room` and `early` are imported where a scene has them: their kernels take seconds to compile.
"""

from engine.nodes.compressor import Compressor
from engine.nodes.convolution import ConvolutionRoom
from engine.nodes.fader import Fader
from engine.nodes.limiter import Limiter
from engine.nodes.loudness_trim import LoudnessTrim
from engine.nodes.meter import OutputMeter
from engine.nodes.mix import Mix, Pan
from engine.nodes.players import Players
from engine.nodes.room import Room
from engine.nodes.slap_echo import SlapEcho
from engine.nodes.trims import Trims
from engine.nodes.unmask import Unmask

__all__ = [
    "Compressor",
    "ConvolutionRoom",
    "Fader",
    "Limiter",
    "LoudnessTrim",
    "Mix",
    "OutputMeter",
    "Pan",
    "Players",
    "Room",
    "SlapEcho",
    "Trims",
    "Unmask",
]
