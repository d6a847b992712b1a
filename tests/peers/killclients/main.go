// SPDX-License-Identifier: Apache-2.0

// The clients of the kill loop of the store, on Debian's packaged clientv3: writers, leases and watchers that go on while
// the store is killed and started again, and the audit of what it then says.
//
//	killclients ENDPOINT[,ENDPOINT…] [-writers N] [-watchers N] [-leases N] [-keys N] [-value BYTES]
//
// Each line on standard input is a command, answered by one line:
//
//	count   how many puts are acknowledged and how many ended without an answer
//	audit   the history since the last audit, read by a new client: see history.go; "ok …" or "FAILED …"
//	flush   the store writes its state out (Defragment)
//
// At the end of input everything stops, leases run out, and the final state is compared with the history.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/clientv3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

const (
	requestTimeout = 5 * time.Second
	auditTimeout   = 60 * time.Second
	reconnectDelay = 20 * time.Millisecond
)

type options struct {
	endpoint                               string
	writers, watchers, leases, keys, value int
}

// A killed store is back in a fraction of a second: the default back-off of a second would leave it idle.
func dial(endpoint string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints: strings.Split(endpoint, ","),
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: reconnectDelay, Multiplier: 1.2, MaxDelay: 5 * reconnectDelay},
			MinConnectTimeout: time.Second,
		})},
	})
}

func short() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), requestTimeout)
}

// Everything that runs beside the commands.
type load struct {
	options  options
	history  *history
	watchers []*watcher
	stop     context.CancelFunc
	done     sync.WaitGroup
	failed   atomic.Value // string: what a worker found wrong
}

func (l *load) fail(format string, arguments ...interface{}) {
	l.failed.CompareAndSwap(nil, fmt.Sprintf(format, arguments...))
}

func startLoad(options options) (*load, error) {
	l := &load{options: options, history: newHistory(options)}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	// Watchers first: they see the history from its first revision on. A few share a connection, as in real clients.
	var client *clientv3.Client
	for i := 0; i < options.watchers; i++ {
		if i%8 == 0 {
			var err error
			if client, err = dial(options.endpoint); err != nil {
				return nil, err
			}
		}
		w := newWatcher(i, options)
		l.watchers = append(l.watchers, w)
		go w.run(ctx, client, l)
	}
	for i := 0; i < options.writers+options.leases; i++ {
		client, err := dial(options.endpoint)
		if err != nil {
			return nil, err
		}
		l.done.Add(1)
		go func(i int) {
			defer l.done.Done()
			defer client.Close()
			if i < options.writers {
				l.write(ctx, client, i)
			} else {
				l.lease(ctx, client, i-options.writers)
			}
		}(i)
	}
	return l, nil
}

func flush(endpoint string) error {
	client, err := dial(endpoint)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), auditTimeout)
	defer cancel()
	_, err = client.Defragment(ctx, endpoint)
	return err
}

func (l *load) answer(command string) string {
	switch command {
	case "count":
		return fmt.Sprintf("%d %d", atomic.LoadInt64(&l.history.acked), atomic.LoadInt64(&l.history.unanswered))
	case "audit":
		text, err := l.audit()
		if err != nil {
			return "FAILED " + err.Error()
		}
		return "ok " + text
	case "flush":
		if err := flush(l.options.endpoint); err != nil {
			return "failed " + err.Error()
		}
		return "ok"
	}
	return "unknown command " + command
}

// The last word: nobody writes any more, leases have run out, and the state is what the history says.
func (l *load) end() (string, error) {
	l.stop()
	l.done.Wait()
	if err := l.waitForNoLeases(); err != nil {
		return "", err
	}
	text, err := l.audit()
	if err != nil {
		return "", err
	}
	state, err := l.compareState()
	return text + "; " + state, err
}

func main() {
	var o options
	flag.IntVar(&o.writers, "writers", 64, "clients that put")
	flag.IntVar(&o.watchers, "watchers", 32, "watchers")
	flag.IntVar(&o.leases, "leases", 8, "clients that grant, keep alive and abandon leases")
	flag.IntVar(&o.keys, "keys", 10000, "keys the writers share")
	flag.IntVar(&o.value, "value", 200, "bytes of a value")
	if len(os.Args) < 2 || strings.HasPrefix(os.Args[1], "-") {
		fmt.Fprintln(os.Stderr, "usage: killclients ENDPOINT [flags]")
		os.Exit(2)
	}
	o.endpoint = os.Args[1]
	flag.CommandLine.Parse(os.Args[2:])
	l, err := startLoad(o)
	if err != nil {
		fmt.Println("FAILED", err)
		os.Exit(1)
	}
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		fmt.Println(l.answer(input.Text()))
	}
	text, err := l.end()
	if err != nil {
		fmt.Println("FAILED", err)
		os.Exit(1)
	}
	fmt.Println("ok", text)
}
