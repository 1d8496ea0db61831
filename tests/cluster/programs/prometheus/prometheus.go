//go:build tools

// Package prometheus keeps the module's requirement of a program that is built as it is: of the version that the
// chart installs, and with the discovery of a cluster's pods, which Debian's is built without.
package prometheus

import _ "github.com/prometheus/prometheus/cmd/prometheus"
