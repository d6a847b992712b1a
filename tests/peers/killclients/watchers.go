// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/clientv3"
)

// Watches everything, or one writer's keys, from the first revision on; clientv3 resumes it behind the last revision it
// has delivered when the store comes back.
type watcher struct {
	name   string
	prefix string // empty: everything
	mutex  sync.Mutex
	events []event // since the last audit
	seen   int64
}

func newWatcher(number int, options options) *watcher {
	if number%4 == 0 {
		return &watcher{name: fmt.Sprintf("watcher %d of everything", number)}
	}
	prefix := fmt.Sprintf("%s%02d/", writerPrefix, number%options.writers)
	return &watcher{name: fmt.Sprintf("watcher %d of %s", number, prefix), prefix: prefix}
}

func (w *watcher) run(ctx context.Context, client *clientv3.Client, l *load) {
	key, how := "\x00", clientv3.WithFromKey()
	if w.prefix != "" {
		key, how = w.prefix, clientv3.WithPrefix()
	}
	for answer := range client.Watch(context.Background(), key, how, clientv3.WithRev(2), clientv3.WithProgressNotify()) {
		if err := answer.Err(); err != nil {
			l.fail("%s ended: %v", w.name, err)
			return
		}
		w.mutex.Lock()
		for _, e := range answer.Events {
			w.events = append(w.events, toEvent(e))
		}
		if n := len(w.events); n > 0 && w.events[n-1].revision > w.seen {
			w.seen = w.events[n-1].revision
		}
		w.mutex.Unlock()
	}
	if ctx.Err() == nil {
		l.fail("%s ended", w.name)
	}
}

// Takes what it has up to the revision, once the last event that concerns it has come; returns up to where it has seen.
func (w *watcher) compare(all []event, revision int64) (int64, error) {
	var wanted []event
	for _, e := range all {
		if len(e.key) >= len(w.prefix) && e.key[:len(w.prefix)] == w.prefix {
			wanted = append(wanted, e)
		}
	}
	deadline := time.Now().Add(catchUpTimeout)
	for len(wanted) > 0 && !w.reached(wanted[len(wanted)-1].revision) {
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("%s has not reached revision %d within %v", w.name, revision, catchUpTimeout)
		}
		time.Sleep(time.Millisecond)
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for i, e := range wanted {
		if i >= len(w.events) {
			return 0, fmt.Errorf("%s missed %s at revision %d", w.name, e.key, e.revision)
		}
		if w.events[i] != e {
			return 0, fmt.Errorf("%s was told %s at revision %d where the history has %s at %d", w.name, w.events[i].key,
				w.events[i].revision, e.key, e.revision)
		}
	}
	if len(w.events) > len(wanted) && w.events[len(wanted)].revision <= revision {
		return 0, fmt.Errorf("%s was told %s at revision %d once too often", w.name, w.events[len(wanted)].key,
			w.events[len(wanted)].revision)
	}
	w.events = append([]event(nil), w.events[len(wanted):]...)
	return w.seen, nil
}

func (w *watcher) reached(revision int64) bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.seen >= revision
}
