"""How the shipped model is made: sounds with known families, their variants, and the fit."""
