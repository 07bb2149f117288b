"""What every plug-in needs around it: a guard on what it returns."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dsp.guard import LIMIT_AMPLITUDE, has_run_away
from engine.node import Processor
from engine.spec import Block


class Resettable(Protocol):
    """A plug-in, as far as the guard is concerned."""

    def reset(self) -> None: ...


def take_return(processor: Processor, plugin: Resettable, returned: NDArray[np.float32], out: Block) -> None:
    """Copy what `plugin` returned to `out`; if it has run away, mute it, reset the plug-in and count a fault."""
    out[:] = returned
    if has_run_away(out, LIMIT_AMPLITUDE):
        out.fill(0.0)
        plugin.reset()
        processor.faults += 1
