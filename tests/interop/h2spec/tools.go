// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package tools pins h2spec, so that go.mod and go.sum name every byte of it.
package tools

import _ "github.com/summerwind/h2spec/cmd/h2spec"
