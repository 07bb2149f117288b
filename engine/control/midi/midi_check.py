"""Whether controllers can be heard, for `roomtone check`."""

from engine.control.midi.ports import MidiListing
from engine.finding import Finding

MOST_NAMED = 4


def check_midi(listing: MidiListing | str) -> Finding:
    """What there is, or why it cannot be told; playing needs none of it."""
    name = "MIDI"
    if isinstance(listing, str):
        return Finding(name, "warning", listing, "restart the audio server, or set ROOMTONE_MIDI_API")
    if listing.problem:
        text = f"no MIDI: {listing.problem.removeprefix('no MIDI: ')}"
        return Finding(name, "ok", f"{text}; only `play --midi` needs it")
    if not listing.inputs:
        return Finding(name, "ok", f"{listing.api}, nothing plugged in; what comes later is found")
    named = ", ".join(listing.inputs[:MOST_NAMED])
    more = f" and {len(listing.inputs) - MOST_NAMED} more" if len(listing.inputs) > MOST_NAMED else ""
    return Finding(name, "ok", f"{listing.api}: {named}{more}")
