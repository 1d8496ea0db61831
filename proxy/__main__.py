"""`python -m linkerd2_py.proxy` and `linkerd2-py proxy`: the door, kept so small that it can decide what
the process never loads.
"""

import sys


def main() -> int:
    """Run a proxy with the arguments of the command line; its exit status."""
    # asyncio does without Python's TLS, and so do we: it would be 5 MiB in every pod.
    sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]
    from linkerd2_py.proxy.run import run  # noqa: PLC0415  # after the line above

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
