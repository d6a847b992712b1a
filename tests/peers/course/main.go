// SPDX-License-Identifier: Apache-2.0

// The programs of the Go log-agent course, written anew: what its students run against their store, each
// with the answers it must get. Debian's packaged clientv3 is the client.
package main

import (
	"fmt"
	"os"
	"time"

	"go.etcd.io/etcd/clientv3"
)

const (
	dialTimeout    = 5 * time.Second
	requestTimeout = 5 * time.Second
)

// One program: its name and what it does. An error says what was other than expected.
type program struct {
	name string
	run  func(*clientv3.Client) error
}

var programs = []program{
	{"put", put},
	{"get", get},
	{"delete", remove},
	{"prefix get and delete", prefixGetAndDelete},
	{"watch of a key", watchKey},
	{"watch of a prefix", watchPrefix},
	{"lease put", leasePut},
	{"get at a revision", getAtRevision},
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: course HOST:PORT (of an empty store)")
		os.Exit(2)
	}
	failed := 0
	for _, one := range programs {
		if err := runWithNewClient(os.Args[1], one); err != nil {
			fmt.Printf("%s: FAILED: %v\n", one.name, err)
			failed++
		} else {
			fmt.Printf("%s: ok\n", one.name)
		}
	}
	if failed > 0 {
		os.Exit(1)
	}
}

// Each program dials for itself, as each program of the course does.
func runWithNewClient(endpoint string, one program) error {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: dialTimeout})
	if err != nil {
		return err
	}
	defer client.Close()
	return one.run(client)
}
