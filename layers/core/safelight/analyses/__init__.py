"""Analyses: what pictures measure, the faces in them, and which frame of a burst is the best."""
