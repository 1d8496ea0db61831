//go:build tools

// Package conformance names the programs that judge the proxy, so that go.mod pins them.
package conformance

import (
	_ "github.com/summerwind/h2spec/cmd/h2spec"
	_ "google.golang.org/grpc/interop/client"
	_ "google.golang.org/grpc/interop/server"
)
