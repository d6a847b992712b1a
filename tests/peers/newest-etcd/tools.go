// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package tools pins the newest stable etcd, so that go.mod and go.sum name every byte of it.
package tools

import (
	_ "go.etcd.io/etcd/etcdctl/v3"
	_ "go.etcd.io/etcd/server/v3"
)
