"""Fjord & Fern: its goods, its pages, and the visitors who can be simulated."""
