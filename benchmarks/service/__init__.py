"""Measure memapp, raw Chroma and a peer side by side, in one run on one machine."""
