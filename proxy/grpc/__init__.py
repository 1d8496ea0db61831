"""Streams of gRPC that a proxy keeps alive (`follow`); calls themselves are in `base/grpc`."""
