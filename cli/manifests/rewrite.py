"""Manifests with some of their objects changed. What is not changed keeps its text, with all remarks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.manifests.documents import Document, ManifestError, read_documents
from linkerd2_py.cli.manifests.read import Manifest
from linkerd2_py.cli.manifests.write import to_json, to_yaml
from linkerd2_py.controlplane.injector.report import Report
from linkerd2_py.controlplane.policy.admission.fields import RefusedError

Json = dict[str, Any]
Change = Callable[[Any], tuple[Any, Report]]
"""What becomes of an object, and what is told of it. RefusedError if nothing can."""


class Rewritten(NamedTuple):
    """A manifest, and what is told of its objects."""

    text: str
    reports: list[Report]


def rewrite(manifest: Manifest, change: Change, *, as_json: bool) -> Rewritten:
    """All of its documents, and the items of lists. CliError tells everything that is wrong in it."""
    texts: list[str] = []
    reports: list[Report] = []
    faults: list[str] = []
    try:
        for document in read_documents(manifest.text):
            try:
                value = _changed(document.value, change, reports)
            except RefusedError as error:
                faults.append(str(error))
            else:
                texts.append(to_json(value) if as_json else _as_yaml(document, value))
    except ManifestError as error:
        raise CliError(f"{manifest.name}: {error}") from error
    if faults:
        raise CliError("; ".join(faults))
    return Rewritten("".join(texts), reports)


def _changed(value: Any, change: Change, reports: list[Report]) -> Any:
    if not (isinstance(value, dict) and value.get("kind") == "List"):
        result, report = change(value)
        reports.append(report)
        return result
    items = value.get("items")
    if items is None:
        return value
    if not isinstance(items, list):
        raise RefusedError("items: must be a list")
    return {**value, "items": list(_items(items, change, reports))}


def _items(items: list[Any], change: Change, reports: list[Report]) -> Iterator[Any]:
    for item in items:
        result, report = change(item)
        reports.append(report)
        yield result


def _as_yaml(document: Document, value: Any) -> str:
    if value != document.value:
        return to_yaml(value) + "---\n"
    text = document.text if document.text.endswith("\n") else document.text + "\n"
    return text + "---\n"
