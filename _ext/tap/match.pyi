from typing import TypeAlias

Tree: TypeAlias = tuple[object, ...]

NODES_MAX: int
DEPTH_MAX: int

class Matcher:
    """Conditions on exchanges, as tuples that begin with what they are about:

    ``("all", tree, ...)``, ``("any", tree, ...)``, ``("not", tree)``;
    ``("source-network", address, bits)``, the address in 4 or 16 bytes; ``("source-ports", low, high)``, both
    included; the same for ``destination``; ``("scheme", text)``, ``("method", text)``, ``("authority",
    text)``, ``("authority-prefix", text)``, ``("path", text)``, ``("path-prefix", text)``, all of them bytes
    and the path without its query; ``("destination-label", name, value)``, ``("route-label", name, value)``.

    ValueError for a tree that is too large or too deep, or no such tree.
    """

    def __init__(self, tree: Tree) -> None: ...
