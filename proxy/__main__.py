"""`python -m linkerd2_py.proxy` and `linkerd2-py proxy`: the door, kept so small that it can decide what
the process never loads.
"""

import sys

from linkerd2_py.proxy.no_tls import stand_in


def main() -> int:
    """Run a proxy with the arguments of the command line; its exit status."""
    stand_in()
    from linkerd2_py.proxy.run import run  # noqa: PLC0415  # after the line above: it imports the loop

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
