"""Galleries: a photographer's sets of photos."""
