"""The command line: asks the control plane's public API over HTTP/JSON and prints what it says.

`main` is the door; `commands` has one file per command; `render` turns rows into text and knows
nothing else; `checks` holds the health checks as values.
"""

from __future__ import annotations

# As type checkers know it; `cli.quick` says why.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

PROGRAM: Final = "linkerd2-py"
PLUGIN: Final = "kubectl-linkerd2_py"
"""What kubectl calls as `kubectl linkerd2-py`."""
