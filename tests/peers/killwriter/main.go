// SPDX-License-Identifier: Apache-2.0

// A writer for the kill loop of the store, on Debian's packaged clientv3.
//
//	killwriter write ENDPOINT FILE [CLIENTS]  put unique keys until standard input ends; each acknowledged put is a
//	                                          line "key value revision" of FILE
//	killwriter verify ENDPOINT FILE           a new client: every put in FILE is there, at its revision
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"go.etcd.io/etcd/clientv3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

const (
	requestTimeout = 5 * time.Second
	reconnectDelay = 20 * time.Millisecond
	prefix         = "k/"
	clientsDefault = 64
)

// A killed store is back in a fraction of a second: the default back-off of a second would leave it idle.
func dial(endpoint string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints: []string{endpoint},
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: reconnectDelay, Multiplier: 1.2, MaxDelay: 5 * reconnectDelay},
			MinConnectTimeout: time.Second,
		})},
	})
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: killwriter write ENDPOINT FILE [CLIENTS] | verify ENDPOINT FILE")
	os.Exit(2)
}

func main() {
	if len(os.Args) < 4 {
		usage()
	}
	var err error
	switch os.Args[1] {
	case "write":
		clients := clientsDefault
		if len(os.Args) > 4 {
			if clients, err = strconv.Atoi(os.Args[4]); err != nil || clients < 1 {
				usage()
			}
		}
		err = write(os.Args[2], os.Args[3], clients)
	case "verify":
		err = verify(os.Args[2], os.Args[3])
	default:
		usage()
	}
	if err != nil {
		fmt.Println("FAILED:", err)
		os.Exit(1)
	}
}
