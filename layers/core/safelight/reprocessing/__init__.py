"""Reprocessing: renditions and figures of a whole gallery made again, behind everything else that waits."""
