"""Routes from OpenAPI documents, of both versions, and what is none."""

from __future__ import annotations

import json

import pytest

from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.profiles.openapi import openapi_routes
from linkerd2_py.cli.profiles.profile import path_regex

SWAGGER = """
swagger: "2.0"
basePath: /api/
paths:
  /vote/{id}:
    post:
      x-linkerd-retryable: true
      x-linkerd-timeout: 250ms
      responses: {503: {}, "200": {}, default: {}}
    delete: null
  /list: {get: {}, parameters: []}
  /broken: 3
"""


def test_a_route_for_each_operation_by_path_and_method() -> None:
    assert openapi_routes(SWAGGER, source="web.yaml") == [
        {
            "name": "GET /api/list",
            "condition": {"method": "GET", "pathRegex": "/api/list"},
        },
        {
            "name": "DELETE /api/vote/{id}",
            "condition": {"method": "DELETE", "pathRegex": "/api/vote/[^/]*"},
        },
        {
            "name": "POST /api/vote/{id}",
            "condition": {"method": "POST", "pathRegex": "/api/vote/[^/]*"},
            "responseClasses": [
                {"condition": {"status": {"max": 200, "min": 200}}},
                {"condition": {"status": {"max": 503, "min": 503}}, "isFailure": True},
            ],
            "isRetryable": True,
            "timeout": "250ms",
        },
    ]


@pytest.mark.parametrize(
    ("servers", "base"),
    [
        ([{"url": "https://shop.example/v1"}], "/v1"),
        ([{"url": "/v2/"}], "/v2"),
        ([{"url": "http://["}], ""),
        ([], ""),
        ("x", ""),
    ],
)
def test_of_version_3_the_first_server_says_where_paths_begin(servers: object, base: str) -> None:
    document = {"openapi": "3.1.0", "servers": servers, "paths": {"/a": {"get": {}}}}
    found = openapi_routes(json.dumps(document), source="web.json")
    assert [one["name"] for one in found] == [f"GET {base}/a"]


def test_what_has_a_meaning_in_expressions_is_itself() -> None:
    assert path_regex("/a.b+c/{id}/x-y/$") == r"/a\.b\+c/[^/]*/x-y/\$"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "web.yaml: is not an OpenAPI document: an object is expected"),
        ("a: [", "web.yaml: is neither YAML nor JSON"),
        ("a: b", "web.yaml: paths is missing: is it an OpenAPI document?"),
        ("a: !!python/object:os.x {}", "web.yaml: is neither YAML nor JSON"),
        ("[" * 100_000, "web.yaml: is "),
    ],
)
def test_what_is_no_such_document(text: str, message: str) -> None:
    with pytest.raises(CliError) as caught:
        openapi_routes(text, source="web.yaml")
    assert str(caught.value).startswith(message)


def test_a_document_that_multiplies_itself_costs_nothing() -> None:
    lines = [
        'a0: &a0 "x"',
        *(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)),
    ]
    assert openapi_routes("\n".join([*lines, "paths: {}"]), source="web.yaml") == []
