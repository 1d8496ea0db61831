"""Who makes the spans: attributes of this process, and those that somebody gives it.

Those of the environment come as lines `key=value`, as Kubernetes writes labels into a file: the value may
stand in double quotes.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from linkerd2_py.proxy.config.types import Tracing

logger = logging.getLogger(__name__)

_FILE_BYTES_MAX: Final = 1 << 20

Attributes = dict[str, str | int]


def attributes_of(tracing: Tracing, *, now_s: float) -> Attributes:
    """All of them; of two with one name what stands later here counts: the service's name, labels of the pod,
    what the proxy is given, and OpenTelemetry's own variable.
    """
    return {
        "process.pid": os.getpid(),
        "process.start_timestamp": int(now_s),
        "host.name": socket.gethostname(),
        **({"service.name": tracing.service_name} if tracing.service_name else {}),
        **dict(_lines(_read(tracing.attributes_path))),
        **dict(_lines(tracing.extra_attributes)),
        **dict(_lines(tracing.otel_attributes.replace(",", "\n"))),
    }


def _read(path: str) -> str:
    if not path:
        return ""
    try:
        with Path(path).open("rb") as file:
            return file.read(_FILE_BYTES_MAX).decode(errors="replace")
    except OSError as error:
        logger.warning("spans go without labels of the pod: %s: %s", path, error.strerror)
        return ""


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and key.strip():
            yield key.strip(), value.strip().strip('"')
