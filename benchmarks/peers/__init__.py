"""The work of the unmasking stage side by side with other programs: the same work, in the same run, as ratios.

One file a peer; `comparison.measure` runs what is installed.
"""
