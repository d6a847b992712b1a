// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// What all writers share: where acknowledged puts go, and how many there were.
type ledger struct {
	mutex   sync.Mutex
	out     *bufio.Writer
	refused map[string]int // error text -> how many puts ended so
	acked   int64
	failed  int64
}

func (l *ledger) acknowledged(key, value string, revision int64) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	fmt.Fprintf(l.out, "%s %s %d\n", key, value, revision)
	atomic.AddInt64(&l.acked, 1)
}

func (l *ledger) unanswered(err error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.refused[err.Error()]++
	atomic.AddInt64(&l.failed, 1)
}

// One client with its own connection. A put whose outcome is not known is not tried again: its key is never used
// twice, so that whether it is there says nothing and harms nothing.
func writeUntil(ctx context.Context, endpoint string, worker int, ledger *ledger) error {
	client, err := dial(endpoint)
	if err != nil {
		return err
	}
	defer client.Close()
	for number := 0; ctx.Err() == nil; number++ {
		key := fmt.Sprintf("%s%02d/%d", prefix, worker, number)
		value := fmt.Sprintf("value-of-%d-%d", worker, number)
		request, cancel := context.WithTimeout(context.Background(), requestTimeout)
		answer, err := client.Put(request, key, value)
		cancel()
		if err == nil {
			ledger.acknowledged(key, value, answer.Header.Revision)
			continue
		}
		ledger.unanswered(err)
		select {
		case <-time.After(reconnectDelay):
		case <-ctx.Done():
		}
	}
	return nil
}

func write(endpoint, path string, clients int) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	shared := &ledger{out: bufio.NewWriter(file), refused: map[string]int{}}
	ctx, stop := context.WithCancel(context.Background())
	errors := make(chan error, clients)
	for worker := 0; worker < clients; worker++ {
		go func(worker int) { errors <- writeUntil(ctx, endpoint, worker, shared) }(worker)
	}
	// Each line on standard input is a question: how many are acknowledged?
	for input := bufio.NewReader(os.Stdin); ; {
		if _, err := input.ReadString('\n'); err == io.EOF {
			break
		}
		fmt.Printf("%d %d\n", atomic.LoadInt64(&shared.acked), atomic.LoadInt64(&shared.failed))
	}
	stop()
	for worker := 0; worker < clients; worker++ {
		if err := <-errors; err != nil {
			return err
		}
	}
	if err := shared.out.Flush(); err != nil {
		return err
	}
	fmt.Printf("%d puts acknowledged, %d without an answer\n", shared.acked, shared.failed)
	for text, count := range shared.refused {
		fmt.Printf("  %d: %s\n", count, text)
	}
	return file.Close()
}
