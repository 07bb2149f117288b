"""The `roomtone` command: one thin file a verb."""

from engine.cli.app import main

__all__ = ["main"]
