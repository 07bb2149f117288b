"""MIDI control: bytes to messages, messages to controls, controls to parameters and actions by a map, and back."""
