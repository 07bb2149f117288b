"""Measurements: what this machine can do, and what a change cost."""
