"""The control side: scenes become graphs, graphs are played live or rendered to files."""
