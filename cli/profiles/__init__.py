"""ServiceProfiles made of what describes a service already: `openapi` of an OpenAPI document, `protobuf` of
the services in a .proto file; `profile` is what both make.
"""
