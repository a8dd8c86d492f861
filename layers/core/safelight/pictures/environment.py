"""The environment of processes that open pictures: no secret, and how libvips and the C library are to behave."""

import os


def environment(path: list[str]) -> dict[str, str]:
    """All of it; `path` is where Python finds its modules."""
    inherited = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
    return inherited | {
        "PYTHONPATH": os.pathsep.join(entry for entry in path if entry),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LC_ALL": "C.UTF-8",
        "VIPS_BLOCK_UNTRUSTED": "1",
        "VIPS_CONCURRENCY": "1",
        # Never spill into a file: the address space is the limit.
        "VIPS_DISC_THRESHOLD": "4g",
        # One heap that keeps what is freed: two fifths fewer pages to be faulted in, and less of them at a time. With
        # 32 MiB, the most that glibc allows, whole pictures of a phone are still given back at once.
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_THRESHOLD_": str(32 * 1024**2),
        "MALLOC_TRIM_THRESHOLD_": str(256 * 1024**2),
        "MALLOC_TOP_PAD_": str(16 * 1024**2),
        # That heap in pages of 2 MiB, where glibc (2.35 and later) and the kernel know how: an eighth of the faults.
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    }
