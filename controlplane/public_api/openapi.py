"""The OpenAPI 3.1 document of the public API, made from its operations."""

from collections.abc import Sequence

from linkerd2_py import __version__
from linkerd2_py.controlplane.public_api.operations import Operation

Schema = dict[str, object]


def document(operations: Sequence[Operation]) -> dict[str, object]:
    """Everything a client generator needs."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "linkerd2-py public API", "version": __version__},
        "paths": {operation.path: {"get": _operation(operation)} for operation in operations},
        "components": {"schemas": _SCHEMAS},
    }


def _operation(operation: Operation) -> Schema:
    return {
        "summary": operation.summary,
        "operationId": operation.schema[0].lower() + operation.schema[1:],
        "parameters": [parameter.as_openapi() for parameter in operation.parameters],
        "responses": {
            "200": _response("the answer", schema=operation.schema),
            "400": _response("a parameter is wrong", schema="Error"),
        },
    }


def _response(description: str, *, schema: str) -> Schema:
    reference = {"$ref": f"#/components/schemas/{schema}"}
    return {"description": description, "content": {"application/json": {"schema": reference}}}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _or_null(schema: Schema) -> Schema:
    return {"oneOf": [schema, {"type": "null"}]}


_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_WHOLE: Schema = {"type": "integer"}
_FLAG: Schema = {"type": "boolean"}
_STATS = _object(
    success=_NUMBER,
    failure=_NUMBER,
    success_rate=_NUMBER,
    rps=_NUMBER,
    latency_ms_p50=_WHOLE,
    latency_ms_p95=_WHOLE,
    latency_ms_p99=_WHOLE,
    tls_percent=_or_null(_NUMBER),
    tcp_open_connections=_WHOLE,
    tcp_read_bytes_rate=_NUMBER,
    tcp_write_bytes_rate=_NUMBER,
)
_ROW = _object(
    namespace=_TEXT,
    type=_TEXT,
    name=_TEXT,
    status=_TEXT,
    meshed=_or_null(_WHOLE),
    running=_or_null(_WHOLE),
    failed=_WHOLE,
    stats=_or_null(_STATS),
)
_LABELS: Schema = {"type": "object", "additionalProperties": _TEXT}
_POD = _object(
    kind=_TEXT,
    namespace=_TEXT,
    name=_TEXT,
    labels=_LABELS,
    owner=_TEXT,
    status=_TEXT,
    ready=_FLAG,
    meshed=_FLAG,
    proxy_ready=_FLAG,
    proxy_version=_TEXT,
    ip=_TEXT,
    ip6=_TEXT,
    identity=_TEXT,
    admin_addr=_or_null(_TEXT),
    uptime_s=_or_null(_NUMBER),
    since_last_report_s=_or_null(_NUMBER),
    restarts=_WHOLE,
    problem=_TEXT,
    last_exit=_TEXT,
    since_last_exit_s=_or_null(_NUMBER),
)
_END = _object(namespace=_TEXT, type=_TEXT, name=_TEXT)
_EDGE = _object(src=_END, dst=_END, client_id=_TEXT, server_id=_TEXT, no_identity_msg=_TEXT)
_PORT = _object(name=_TEXT, port=_WHOLE, target_port=_WHOLE, opaque=_FLAG)
_CHECK = _object(category=_TEXT, description=_TEXT, status=_TEXT, message=_TEXT, hint=_TEXT)
_DEPLOYMENT = _object(
    kind=_TEXT,
    namespace=_TEXT,
    name=_TEXT,
    labels=_LABELS,
    replicas=_WHOLE,
    ready=_WHOLE,
    meshed=_FLAG,
    restarts=_WHOLE,
)
_SERVICE = _object(
    kind=_TEXT,
    namespace=_TEXT,
    name=_TEXT,
    labels=_LABELS,
    workload=_TEXT,
    cluster_ips=_list(_TEXT),
    headless=_FLAG,
    ports=_list(_PORT),
)
_ENDPOINT = _object(namespace=_TEXT, service=_TEXT, ip=_TEXT, port=_WHOLE, pod=_TEXT)
_PRESENTED = _object(
    namespace=_TEXT,
    pod=_TEXT,
    identity=_TEXT,
    certificate=_or_null(_TEXT),
    verified=_FLAG,
    problem=_TEXT,
)
_SCHEMAS: dict[str, Schema] = {
    "Version": _object(version=_TEXT, commit=_TEXT),
    "SelfCheck": _object(results=_list(_CHECK)),
    "Stat": _object(tables=_list(_object(type=_TEXT, rows=_list(_ROW)))),
    "Edges": _object(edges=_list(_EDGE)),
    "Pods": _object(pods=_list(_POD)),
    "Deployments": _object(deployments=_list(_DEPLOYMENT)),
    "Services": _object(services=_list(_SERVICE)),
    "Endpoints": _object(endpoints=_list(_ENDPOINT)),
    "Identity": _object(pods=_list(_PRESENTED)),
    "Error": _object(error=_TEXT),
}
