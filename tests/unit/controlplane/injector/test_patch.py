"""Patches as another library applies them, and objects that stay as they were."""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch

from linkerd2_py.controlplane.injector.patch import LAST, Patch


def test_a_patch_says_what_became_of_the_object() -> None:
    found: dict[str, Any] = {"spec": {"template": {"metadata": None, "list": [1, 2]}}}
    before = copy.deepcopy(found)
    patch = Patch(found, below=("spec", "template"))
    patch.need("metadata", empty={})
    patch.add_all("metadata", "annotations", values={"b/c~d": "1", "a": "2"})
    patch.add("list", "0", value={"first": True})
    patch.add("list", LAST, value=3)
    assert [one["path"] for one in patch.operations] == [
        "/spec/template/metadata",
        "/spec/template/metadata/annotations",
        "/spec/template/metadata/annotations/a",
        "/spec/template/metadata/annotations/b~1c~0d",
        "/spec/template/list/0",
        "/spec/template/list/-",
    ]
    assert patch.result["spec"]["template"] == {
        "metadata": {"annotations": {"a": "2", "b/c~d": "1"}},
        "list": [{"first": True}, 1, 2, 3],
    }
    assert found == before
    assert jsonpatch.apply_patch(before, patch.operations) == patch.result


def test_nothing_to_say_is_no_patch() -> None:
    patch = Patch({"metadata": {"labels": {"a": "b"}}})
    patch.add_all("metadata", "annotations", values={})
    patch.need("metadata", "labels", empty={})
    assert patch.operations == []
