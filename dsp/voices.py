"""What is known of a voice: an event that sounds or is still to come, a row in tables that kernels read."""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Columns of an event, in the queue and in the table of voices alike.
START, TRACK, CLIP, OFFSET, FRAMES, FADE_IN, FADE_OUT, ENTRY = range(8)
GAIN, RHO_IN, RHO_OUT, BALANCE = range(4)

# In the table only: the frame from which a voice is heard (its start, its entry, or later if the event came late), how
# many events came before it, the cut that ends it, one that had begun before that cut does, and the row of the voice
# summed after it on its lane in this quantum, -1 if it is the last.
HEARD, ARRIVAL, CUT_AT, CUT_FRAMES, HELD_AT, HELD_FRAMES, NEXT = range(8, 15)

# Lists of places in the table: voices that have started, in order; voices to come, as a heap; places that are free;
# room to sort in.
PLAYING, WAITING, FREE, DUE = range(4)

# What else is counted: voices heard in the quantum, events that found no place, events that came after they were to
# be heard, events taken in all.
SOUNDING, DROPPED, LATE, ARRIVED = range(3, 7)

CUT = -1
"""The clip of an event that is a cut."""

ALL_TRACKS = -1
"""The track of a cut that ends every track's voices."""

NO_CUT = 2**62
"""A frame after every other: where the cut of a voice is that has none."""

FIRST_FRAME = -(2**61)
"""At frames before this one the queue is left alone: a warm-up run may not take events from the thread that plays."""
