"""Pictures that are made of others: how many bytes of such an item tell how, for what stands behind them is nobody's.

Sources: ISO/IEC 23008-12, 6.6.2 (identity, overlay, grid); ISO 21496-1, annex C (gain map of a tone-mapped picture).
"""

KINDS = {b"grid", b"iden", b"iovl", b"tmap"}


def length(kind: bytes, content: bytes, inputs: int) -> int:
    """Of an item of one of the `KINDS`, made of so many `inputs`. Raises ValueError for a form that is not known."""
    if kind == b"iden":
        return 0
    if content[0]:
        raise ValueError("a derived picture of a version that is not understood")
    if kind == b"tmap":
        # Three versions and what channels there are; two headrooms, then five values of each channel: all are ratios.
        return 6 + 16 + 40 * (3 if content[5] & 0x80 else 1)
    if content[1] > 1:
        raise ValueError("a derived picture of a form that is not understood")
    size = 2 * (4 if content[1] else 2)
    # Version, flags, columns and rows, size; or version, flags, a colour, size and a place for each.
    return 4 + size if kind == b"grid" else 2 + 8 + size * (1 + inputs)
