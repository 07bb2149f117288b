"""A made-up data set to try learning on: songs of procedural tracks, recorded in four ways, mixed by four engineers.

It holds what a real one has: few rows, rare classes, songs whose tracks have room, desk and engineer in common. It says
nothing of how well anything works on music.
"""
