"""`roomtone bench`: what this machine can do, and what a change cost. One file a measurement."""
