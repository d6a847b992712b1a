// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package tools pins etcd's own load generator, so that go.mod and go.sum name every byte of it.
package tools

import _ "go.etcd.io/etcd/v3/tools/benchmark"
