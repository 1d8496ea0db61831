"""python -m bench.micro.run CASE TIMES: does one case so many times and nothing else, for a tool that watches
the process.
"""

import gc
import sys

from bench.micro.cases import all_cases


def main() -> None:
    name, times = sys.argv[1], int(sys.argv[2])
    with all_cases()[name].prepare() as run:
        # When the collector runs depends on all that was allocated before, which is not the case's work.
        gc.disable()
        run(times)


if __name__ == "__main__":
    main()
