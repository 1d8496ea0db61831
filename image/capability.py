"""Capabilities of a file, as the kernel keeps them beside it (linux/capability.h, revision 2)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

_REVISION_2: Final = 0x0200_0000
NUMBERS: Final = {"net_admin": 12, "net_raw": 13}


def permitted(names: Iterable[str]) -> bytes:
    """Whoever starts the file may have these, where the container has them; it must raise them itself, so a
    container without them can start it, too.
    """
    bits = sum(1 << NUMBERS[name] for name in names)
    low, high = bits & 0xFFFF_FFFF, bits >> 32
    return struct.pack("<IIIII", _REVISION_2, low, 0, high, 0)
