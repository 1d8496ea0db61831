"""How the self-check asks the proxy-api how it is: over the network, as proxies do."""

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from linkerd2_py.controlplane.proxy_api.service import SERVICE

_TIMEOUT_S = 2.0


async def health_problem(address: str) -> str:
    """Why Destination is not served at `address`; "" when it is."""
    request = health_pb2.HealthCheckRequest(service=SERVICE)
    async with grpc.aio.insecure_channel(address) as channel:
        try:
            health = health_pb2_grpc.HealthStub(channel)
            answer = await health.Check(request, timeout=_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            return f"{address}: {error.details()}"
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        return f"{address}: does not serve {SERVICE}"
    return ""
