"""Routes from an OpenAPI document (Swagger 2 and OpenAPI 3), in YAML or JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.profiles.profile import Route, path_regex

# In the order of routes of one path.
_METHODS: Final = ("delete", "get", "head", "options", "patch", "post", "put")
_FAILED: Final = 500


def openapi_routes(text: str, *, source: str) -> list[Route]:
    """One for each operation, by path. CliError for what is no such document."""
    found = _document(text, source=source)
    base = _base_path(found).rstrip("/")
    paths = found.get("paths")
    if not isinstance(paths, Mapping):
        raise CliError(f"{source}: paths is missing: is it an OpenAPI document?")
    return [
        route
        for relative in sorted(path for path in paths if isinstance(path, str))
        for route in _of_path(f"{base}/{relative.lstrip('/')}", paths[relative])
    ]


def _document(text: str, *, source: str) -> Mapping[str, Any]:
    import yaml

    try:
        found = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except yaml.YAMLError as error:
        raise CliError(f"{source}: is neither YAML nor JSON: {error}") from error
    except RecursionError as error:
        raise CliError(f"{source}: is too deep") from error
    if not isinstance(found, Mapping):
        raise CliError(f"{source}: is not an OpenAPI document: an object is expected")
    return found


def _base_path(found: Mapping[str, Any]) -> str:
    """Swagger 2 has one of its own; OpenAPI 3 the path of the first server."""
    base = found.get("basePath")
    if isinstance(base, str):
        return base
    servers = found.get("servers")
    first = servers[0] if isinstance(servers, list) and servers else None
    url = first.get("url") if isinstance(first, Mapping) else None
    try:
        return urlsplit(url).path if isinstance(url, str) else ""
    except ValueError:
        return ""


def _of_path(path: str, item: object) -> Iterator[Route]:
    operations = item if isinstance(item, Mapping) else {}
    for method in _METHODS:
        if method in operations:
            said = operations[method]
            yield _route(path, method.upper(), said if isinstance(said, Mapping) else {})


def _route(path: str, method: str, operation: Mapping[str, Any]) -> Route:
    route: Route = {
        "name": f"{method} {path}",
        "condition": {"method": method, "pathRegex": path_regex(path)},
    }
    classes = list(_classes(operation.get("responses")))
    if classes:
        route["responseClasses"] = classes
    if operation.get("x-linkerd-retryable") is True:
        route["isRetryable"] = True
    timeout = operation.get("x-linkerd-timeout")
    if isinstance(timeout, str) and timeout:
        route["timeout"] = timeout
    return route


def _classes(responses: object) -> Iterator[dict[str, Any]]:
    """One for each status that is described; others are classified as ever."""
    for status in sorted(_statuses(responses)):
        found: dict[str, Any] = {"condition": {"status": {"max": status, "min": status}}}
        if status >= _FAILED:
            found["isFailure"] = True
        yield found


def _statuses(responses: object) -> set[int]:
    said = responses if isinstance(responses, Mapping) else {}
    texts = {str(status) for status in said}
    return {int(one) for one in texts if one.isascii() and one.isdecimal() and len(one) == 3}
