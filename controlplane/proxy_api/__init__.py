"""The one gRPC address that proxies know."""
