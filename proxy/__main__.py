"""`python -m linkerd2_py.proxy` and `linkerd2-py proxy`: the door, kept so small that it can decide what
the process never loads.
"""

import gc
import sys

from linkerd2_py.proxy.stand_ins import stand_in


def main() -> int:
    """Run a proxy with the arguments of the command line; its exit status."""
    # Imports make no garbage, but each makes the collector look for some; from here on the process
    # decides when.
    gc.disable()
    stand_in()
    from linkerd2_py.proxy.run import run  # noqa: PLC0415  # after the line above: it imports the loop

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
