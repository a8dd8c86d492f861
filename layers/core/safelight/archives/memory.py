"""Memory for the bytes on their way: one window for the whole process, and buffers that are used again.

A fresh buffer costs a page fault for every 4 KiB, about half of the CPU of an archive of small photos.
"""

_KIB = 1024
FLOOR = 256 * _KIB
"""Bytes that every archive may hold, whatever the others do."""

_SMALLEST = 4 * _KIB


def capacity_for(size: int) -> int:
    """The buffer for `size` bytes: the next power of two, so that few kinds of buffers fit all."""
    return max(1 << (size - 1).bit_length(), _SMALLEST)


class Window:
    """`size` bytes of memory that all archives of this process share for what they read ahead.

    Each of n archives may hold an n-th. One that holds nothing always gets a small buffer, even beyond the window:
    clients that stopped reading must not stop the others.
    """

    def __init__(self, size: int = 16 * 1024 * _KIB) -> None:
        self.size = size
        self.used = 0
        self.shares = 0
        self._spare: dict[int, list[bytearray]] = {}
        self._spared = 0

    def borrow(self, capacity: int) -> bytearray:
        """A buffer of `capacity` bytes; what is in it does not matter."""
        spare = self._spare.get(capacity)
        if spare:
            self._spared -= capacity
            return spare.pop()
        self._make_room()
        return bytearray(capacity)

    def _make_room(self) -> None:
        """Forget spare buffers, of whatever capacity, that do not fit beside what is in use."""
        for capacity, spare in self._spare.items():
            while spare and self.used + self._spared > self.size:
                spare.pop()
                self._spared -= capacity

    def give_back(self, buffer: bytearray) -> None:
        """Keep the buffer for later, unless somebody, such as a socket that is still sending, looks at it."""
        capacity = len(buffer)
        if self.used + self._spared + capacity > self.size:
            return
        try:
            buffer.pop()  # refused while a view of the buffer exists; afterwards only the length has changed
        except BufferError:
            return
        buffer.append(0)
        self._spare.setdefault(capacity, []).append(buffer)
        self._spared += capacity


class Share:
    """What one archive holds of the window."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.held = 0
        """Bytes it holds now."""
        window.shares += 1

    @property
    def fair(self) -> int:
        """Bytes that this archive may hold now."""
        return self.window.size // self.window.shares

    def take(self, wanted: int) -> int:
        """The capacity granted: for `wanted` bytes, or less but enough to be worth a request, or 0."""
        room = min(self.window.size - self.window.used, self.fair - self.held)
        if not self.held:
            room = max(room, FLOOR)
        granted = capacity_for(wanted)
        least = min(granted, FLOOR)
        while granted > room:
            granted //= 2
            if granted < least:
                return 0
        self.held += granted
        self.window.used += granted
        return granted

    def give_back(self, capacity: int) -> None:
        """What `take` had granted is free again."""
        self.held -= capacity
        self.window.used -= capacity

    def leave(self) -> None:
        """The archive ends, however it ends."""
        self.give_back(self.held)
        self.window.shares -= 1
