// SPDX-License-Identifier: Apache-2.0

// Clients of a cluster that write down what they asked and were told, for lincheck (tests/check/README.md has the form).
//
//	historyclients -endpoints A,B,C -out FILE [-clients N] [-watchers N] [-leases N] [-keys N] [-pause MS] [-value-bytes N]
//
// Each client has one member and stays with it. Each line on standard input is a command, answered by one line:
//
//	count       operations that were answered, refused and that ended without a known outcome
//	falling N   member N (0, 1, …) is about to be killed; its answers belong to no life until
//	rising N    it is known to be dead
//	finish A    no more operations; the history of transactions is read from endpoint A and the file is complete
package main

import (
	"bufio"
	"context"
	"encoding/json"
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
	requestTimeout = 3 * time.Second
	reconnectDelay = 20 * time.Millisecond
)

type options struct {
	endpoints                       []string
	out                             string
	clients, watchers, leases, keys int
	valueBytes                      int
	pause                           time.Duration
}

// The life of a member as far as the clients can tell: 0 while it is about to be killed.
type lives struct {
	mutex   sync.Mutex
	current []int64
	limbo   []bool
}

func (l *lives) of(member int) int64 {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.limbo[member] {
		return 0
	}
	return l.current[member]
}

func (l *lives) falling(member int) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.limbo[member] = true
}

func (l *lives) rising(member int) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.current[member]++
	l.limbo[member] = false
}

// The file and the clock all records share.
type recorder struct {
	began                      time.Time
	mutex                      sync.Mutex
	file                       *os.File
	buffer                     *bufio.Writer
	answered, refused, unknown int64
}

func newRecorder(path string) (*recorder, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &recorder{began: time.Now(), file: file, buffer: bufio.NewWriter(file)}, nil
}

func (r *recorder) now() int64 { return time.Since(r.began).Nanoseconds() }

func (r *recorder) write(record interface{}) {
	line, err := json.Marshal(record)
	if err != nil {
		panic(err)
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.buffer.Write(line)
	r.buffer.WriteByte('\n')
}

func (r *recorder) close() error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if err := r.buffer.Flush(); err != nil {
		return err
	}
	return r.file.Close()
}

func dial(endpoint string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints: []string{endpoint},
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: reconnectDelay, Multiplier: 1.2, MaxDelay: 5 * reconnectDelay},
			MinConnectTimeout: time.Second,
		})},
	})
}

// Everything that runs beside the commands.
type load struct {
	options  options
	recorder *recorder
	lives    *lives
	stop     context.CancelFunc
	done     sync.WaitGroup
	watching sync.WaitGroup
	until    int64 // atomic: watchers end when they have seen this revision
}

func start(o options) (*load, error) {
	r, err := newRecorder(o.out)
	if err != nil {
		return nil, err
	}
	l := &load{options: o, recorder: r,
		lives: &lives{current: make([]int64, len(o.endpoints)), limbo: make([]bool, len(o.endpoints))}}
	for i := range l.lives.current {
		l.lives.current[i] = 1
	}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	r.write(map[string]interface{}{"record": "base", "rev": 1})
	for i := 0; i < o.clients+o.leases; i++ {
		c, err := newClient(l, i)
		if err != nil {
			return nil, err
		}
		l.done.Add(1)
		go func(lease bool) {
			defer l.done.Done()
			if lease {
				c.leases(ctx)
			} else {
				c.run(ctx)
			}
		}(i >= o.clients)
	}
	for i := 0; i < o.watchers; i++ {
		w, err := newWatcher(l, i)
		if err != nil {
			return nil, err
		}
		l.watching.Add(1)
		go w.run()
	}
	return l, nil
}

func (l *load) finish(endpoint string) (string, error) {
	l.stop()
	l.done.Wait()
	revision, err := l.replay(endpoint)
	if err != nil {
		return "", err
	}
	atomic.StoreInt64(&l.until, revision)
	l.watching.Wait()
	r := l.recorder
	return fmt.Sprintf("%d answered, %d refused, %d unknown, revision %d", atomic.LoadInt64(&r.answered),
		atomic.LoadInt64(&r.refused), atomic.LoadInt64(&r.unknown), revision), r.close()
}

func (l *load) answer(line string) string {
	words := strings.Fields(line)
	member := 0
	if len(words) == 2 {
		fmt.Sscan(words[1], &member)
	}
	switch {
	case line == "count":
		r := l.recorder
		return fmt.Sprintf("%d %d %d", atomic.LoadInt64(&r.answered), atomic.LoadInt64(&r.refused), atomic.LoadInt64(&r.unknown))
	case words[0] == "falling":
		l.lives.falling(member)
		return "ok"
	case words[0] == "rising":
		l.lives.rising(member)
		return "ok"
	case words[0] == "finish" && len(words) == 2:
		text, err := l.finish(words[1])
		if err != nil {
			return "FAILED " + err.Error()
		}
		return "ok " + text
	}
	return "FAILED unknown command " + line
}

func main() {
	var o options
	var endpoints string
	flag.StringVar(&endpoints, "endpoints", "", "members' client addresses, by comma")
	flag.StringVar(&o.out, "out", "", "file of the history")
	flag.IntVar(&o.clients, "clients", 12, "clients that read and write")
	flag.IntVar(&o.watchers, "watchers", 6, "watchers")
	flag.IntVar(&o.leases, "leases", 3, "clients that grant, keep alive and abandon leases")
	flag.IntVar(&o.keys, "keys", 20, "keys all share")
	flag.IntVar(&o.valueBytes, "value-bytes", 0, "of each value, at least")
	flag.DurationVar(&o.pause, "pause", 0, "of a client between two operations")
	flag.Parse()
	if endpoints == "" || o.out == "" {
		flag.Usage()
		os.Exit(2)
	}
	o.endpoints = strings.Split(endpoints, ",")
	l, err := start(o)
	if err != nil {
		fmt.Println("FAILED", err)
		os.Exit(1)
	}
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		fmt.Println(l.answer(input.Text()))
	}
}
