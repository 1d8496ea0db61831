"""What several questions have in common."""

from dataclasses import dataclass
from typing import Annotated

from linkerd2_py.controlplane.public_api.operation import Parameter


@dataclass(frozen=True, slots=True)
class OfNamespace:
    """What is asked about everything of a namespace, or everywhere."""

    namespace: Annotated[str, Parameter("only of this namespace; all when absent")] = ""

    def has(self, namespace: str) -> bool:
        """Whether what is in `namespace` is asked about."""
        return self.namespace in {"", namespace}
