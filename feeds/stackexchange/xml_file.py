"""XmlFile: a file of XML with spaces for the characters that XML forbids, which dumps contain all the same."""

from __future__ import annotations

import re
from typing import BinaryIO

#: References to control characters, to halves of surrogate pairs and to what is no character at all, such as `&#x1F;`.
REFERENCE = re.compile(rb"&#(?:x([0-9a-fA-F]+)|([0-9]+));")
#: The control characters themselves, in the encodings that have ASCII in them.
CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
#: An encoding of two bytes for each character has these bytes in it, and it begins with one of these marks.
TWO_BYTES = (b"\xff\xfe", b"\xfe\xff", b"<\x00", b"\x00<")
#: The longest reference that may be cut in two by the end of a part.
LONGEST = 40


class XmlFile:
    """Reads like the file that it is given, part by part."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rest = b""
        self._is_plain: bool | None = None

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, about `size` of them; none at the end."""
        while part := self._file.read(size):
            if self._is_plain is None:
                self._is_plain = not part.startswith(TWO_BYTES)
            if not self._is_plain:
                return part
            part = self._rest + part
            begun = part.rfind(b"&", -LONGEST)
            end = begun if begun >= 0 and b";" not in part[begun:] else len(part)
            self._rest = part[end:]
            if end:
                return _allowed(part[:end])
        rest, self._rest = self._rest, b""
        return rest


def _allowed(part: bytes) -> bytes:
    return REFERENCE.sub(_reference, CONTROL.sub(b" ", part))


def _reference(found: re.Match[bytes]) -> bytes:
    digits = found[1] or found[2]
    code = int(digits, 16 if found[1] else 10) if len(digits) < 12 else -1
    is_allowed = code in (9, 10, 13) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code < 0x110000
    return found[0] if is_allowed else b" "
