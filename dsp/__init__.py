"""Signal processing: arrays in, arrays out. Nothing here knows of graphs, scenes, files or devices."""
