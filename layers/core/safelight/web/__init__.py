"""The HTTP edge: the only room, with `functions` and `local`, that knows FastAPI."""
