"""`python -m bench.control_plane [--tiny]`: all cases once, as one line of JSON."""

import asyncio
import json
import sys

from bench.control_plane.cases import figures
from bench.control_plane.mesh import Size

TINY = Size(workloads=20, pods_of_each=3, streams=60, connections=6, alone=10, relays=2)

if __name__ == "__main__":
    print(json.dumps(asyncio.run(figures(TINY if "--tiny" in sys.argv[1:] else Size()))))
