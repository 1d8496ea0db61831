"""The documentation of the environment is complete."""

import re
from pathlib import Path

from linkerd2_py.proxy.config.table import VARIABLES

README = Path(__file__).parents[3] / "proxy" / "README.md"


def documented() -> set[str]:
    """Every name in backquotes, braces written out."""
    found = set()
    for name in re.findall(r"`([A-Z0-9_{},]+)`", README.read_text()):
        match = re.fullmatch(r"\{([A-Z,]+)\}(\w+)", name)
        found |= {side + match[2] for side in match[1].split(",")} if match else {name}
    return found


def test_every_variable_is_documented() -> None:
    assert VARIABLES.keys() - documented() == set()


def test_nothing_else_is_documented_as_a_variable() -> None:
    prose = {"TCP_USER_TIMEOUT", "LINKERD2_PROXY_", "LINKERD2_PROXY_X", "INBOUND_X", "OUTBOUND_X"}
    assert {name for name in documented() if "_" in name} - VARIABLES.keys() - prose == set()
