"""Names of files, which are bytes, as text for people: nothing in them may pretend to be something else."""

_BELOW = (*range(0x20), 0x7F, *range(0x80, 0xA0), 0xAD, 0x61C, 0x180E)
_ABOVE = (0x200B, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0xFEFF, *range(0xFFF9, 0xFFFC))
_TAGS = range(0xE0000, 0xE0080)
_VISIBLE = {code: f"[U+{code:04X}]" for code in (*_BELOW, *_ABOVE, *_TAGS)}
"""What stands for characters that nobody sees, or that turn the direction of others (UAX 9). Not the joiners U+200C and
U+200D, which Persian and emoji need."""


def text_of(name: bytes) -> str:
    """A name as text; what is no UTF-8 is replaced."""
    return name.decode("utf-8", "replace")


def visible(name: bytes) -> str:
    """The same, with each invisible character made visible."""
    text = text_of(name)
    return text if text.isprintable() else text.translate(_VISIBLE)
