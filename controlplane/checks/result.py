"""What a check found."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "error"]

CATEGORY = "linkerd-api"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the check; `message` and `hint`, what to do, are empty when all is well."""

    description: str
    status: Status = "ok"
    message: str = ""
    hint: str = ""
    category: str = CATEGORY
