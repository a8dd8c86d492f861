"""The strips or tiles of a TIFF picture: TIFF 6.0 sections 3, 15 and 21."""

from typing import NamedTuple, Self

from .directories import Entry, Form

UNPACKED, JPEG = 1, 7
ZLIB = {8, 32946}
# Fax in three forms, LZW, PackBits, LZMA, Zstandard: packed pixels and nothing else. What may carry more is refused.
_PACKED = {2, 3, 4, 5, 32773, 34925, 50000}
_YCBCR = 6
_STRIPS, _TILES = (273, 279), (324, 325)  # their Offsets and ByteCounts


class Chunk(NamedTuple):
    """A strip or tile of `size` bytes, which unpacks to at most `unpacked` bytes."""

    start: int
    size: int
    unpacked: int


class Layout(NamedTuple):
    """How a picture is laid out in its file; `places` are the two tags that tell where its strips or tiles are."""

    compression: int
    samples: int
    bits: list[int]
    places: tuple[int, int]
    chunks: list[Chunk]

    @classmethod
    def read(cls, tags: dict[int, Entry], form: Form, data: bytes) -> Self:
        """By its tags. Raises ValueError or KeyError where they do not make sense together."""

        def told(tag: int, default: list[int]) -> list[int]:
            return tags[tag].numbers(form, data) if tag in tags else default

        compression = told(259, [UNPACKED])[0]
        if compression not in {UNPACKED, JPEG, *ZLIB, *_PACKED}:
            raise ValueError("pixels that are a file of their own")
        [width], [height], [samples] = told(256, []), told(257, []), told(277, [1])
        bits = told(258, [1])
        bits = bits * samples if len(bits) == 1 else bits
        across, down = (tags[tag].numbers(form, data)[0] if tag in tags else 0 for tag in (322, 323))
        tiled = bool(across and down)
        if not tiled:
            across, down = width, min(told(278, [height])[0], height)
        grid = -(-width // across) * -(-height // down)
        planes = [[one] for one in bits] if told(284, [1]) == [2] else [bits]
        places = _TILES if tiled else _STRIPS
        starts, sizes = (told(tag, []) for tag in places)
        if not len(starts) == len(sizes) == grid * len(planes):
            raise ValueError("another number of strips than the picture has")
        whole = [-(-across * sum(plane) // 8) * down for plane in planes]
        if told(262, [0]) == [_YCBCR] and len(planes) == 1:
            wide, high = told(530, [2, 2])
            whole = [-(-across // wide) * -(-down // high) * (wide * high + 2) * -(-bits[0] // 8)]
        chunks = [
            Chunk(start, size, whole[n // grid]) for n, (start, size) in enumerate(zip(starts, sizes, strict=True))
        ]
        return cls(compression, samples, bits, places, chunks)
