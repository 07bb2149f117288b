"""The engine process and the audio device: rendering there, the handle on it here. The only home of sounddevice."""
