"""`python -m bench.control_plane.alone CONNECTIONS`: a small mesh and so many proxies with one stream each,
in a process that has held nothing before: what it grows by is theirs. Prints one line of JSON.
"""

import asyncio
import json
import sys

from bench.control_plane.connections import raise_limits, told_over
from bench.control_plane.mesh import Size, filled


async def _figures(connections: int) -> dict[str, float]:
    raise_limits()
    size = Size(workloads=50)
    return await told_over(connections, connections, filled(size), size)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_figures(int(sys.argv[1])))))
