"""What a decoder said, in words for the photographer."""

_OUT_OF_MEMORY = ("out of memory", "insufficient memory", "unable to allocate", "cannot allocate", "memory allocation")
_UNSUPPORTED = (
    "unsupported",
    "not supported",
    "not configured",
    "not a whole number of bytes",
    "support for this compression format has not been built in",
    "bad labq format",
)

OUT_OF_MEMORY = "This photo takes too much memory to open. Export it smaller or as an ordinary JPEG and upload again."


def of(message: str, kind: str) -> str:
    """The reason for what a library's `message` says about a picture of that format."""
    said = message.lower()
    if any(words in said for words in _OUT_OF_MEMORY):
        return OUT_OF_MEMORY
    if any(words in said for words in _UNSUPPORTED):
        return (
            f"This {kind.upper()} picture is stored in a way that cannot be opened here. "
            "Export it as JPEG and upload again."
        )
    return (
        "This photo is damaged or was not copied completely. Check that it opens on your computer, "
        "then export it again and upload the new file."
    )
