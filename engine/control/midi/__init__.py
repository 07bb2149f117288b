"""MIDI: what hands do on a controller, and what the controller shows."""
