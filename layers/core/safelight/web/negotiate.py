"""What a client says it takes (RFC 9110 section 12.5)."""


def accepts(header: str | None, value: str) -> bool:
    """Whether `value` is named in an Accept or Accept-Encoding header with a weight above zero.

    Wildcards do not count: a program that takes anything has not asked for a page, or for compression.
    """
    for item in (header or "").lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        if name == value:
            weights = [parameter.removeprefix("q=").strip() for parameter in parameters if parameter.startswith("q=")]
            return not weights or weights[0].rstrip("0") not in ("", "0.", ".")
    return False
