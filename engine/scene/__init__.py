"""Scenes: what they say, the sounds they name, when each of them is heard and how loud."""
