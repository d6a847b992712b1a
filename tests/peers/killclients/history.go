// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/mvcc/mvccpb"
)

const (
	pageKeys       = 2000
	catchUpTimeout = 30 * time.Second
)

// One event, small enough to keep all of them from one audit to the next.
type event struct {
	revision int64
	key      string
	value    uint64 // hash; 0: a delete
	lease    int64
}

func hashOf(value []byte) uint64 {
	h := fnv.New64a()
	h.Write(value)
	return h.Sum64() | 1
}

func toEvent(from *clientv3.Event) event {
	e := event{revision: from.Kv.ModRevision, key: string(from.Kv.Key)}
	if from.Type == clientv3.EventTypePut {
		e.value, e.lease = hashOf(from.Kv.Value), from.Kv.Lease
	}
	return e
}

// A key as the events so far leave it.
type keyState struct {
	value                       uint64
	create, mod, version, lease int64
}

// What the store has promised and, audit by audit, what it says has happened.
type history struct {
	acked, unanswered int64 // atomic

	mutex    sync.Mutex
	promised []event // acknowledged puts since the last audit

	// Of the audit alone.
	audited int64
	state   map[string]keyState
	newest  []int64 // per writer: number of its newest put in the history
	checked int64
	events  int64
}

func newHistory(options options) *history {
	return &history{audited: 1, state: map[string]keyState{}, newest: make([]int64, options.writers)}
}

func (h *history) acknowledged(e event) {
	h.mutex.Lock()
	h.promised = append(h.promised, e)
	h.mutex.Unlock()
	atomic.AddInt64(&h.acked, 1)
}

func (h *history) lost() { atomic.AddInt64(&h.unanswered, 1) }

// Promises up to the revision; those above stay for the next audit.
func (h *history) takePromises(revision int64) map[int64]event {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	taken := map[int64]event{}
	var later []event
	for _, e := range h.promised {
		if e.revision <= revision {
			taken[e.revision] = e
		} else {
			later = append(later, e)
		}
	}
	h.promised = later
	return taken
}

// Every put of a writer says whose it is and which: a put that was sent once must not be there twice, nor out of order.
func (h *history) checkOrder(e *clientv3.Event) error {
	key := string(e.Kv.Key)
	if e.Type != clientv3.EventTypePut || !strings.HasPrefix(key, writerPrefix) {
		return nil
	}
	words := strings.SplitN(string(e.Kv.Value), " ", 3)
	if len(words) < 2 {
		return fmt.Errorf("revision %d: %s has value %.40q", e.Kv.ModRevision, key, e.Kv.Value)
	}
	writer, _ := strconv.Atoi(words[0])
	number, err := strconv.ParseInt(words[1], 10, 64)
	if err != nil || writer >= len(h.newest) || number <= h.newest[writer] {
		return fmt.Errorf("revision %d: put %s of writer %s is not above its newest one", e.Kv.ModRevision, words[1], words[0])
	}
	h.newest[writer] = number
	return nil
}

// Follows the facts of a key over one event.
func (h *history) apply(e *clientv3.Event) error {
	key, now := string(e.Kv.Key), toEvent(e)
	before, existed := h.state[key]
	if e.Type == clientv3.EventTypeDelete {
		if !existed {
			return fmt.Errorf("revision %d deletes %s, which is not there", now.revision, key)
		}
		delete(h.state, key)
		return nil
	}
	want := keyState{now.value, now.revision, now.revision, 1, now.lease}
	if existed {
		want.create, want.version = before.create, before.version+1
	}
	if e.Kv.CreateRevision != want.create || e.Kv.Version != want.version {
		return fmt.Errorf("revision %d: %s has create revision %d and version %d, not %d and %d", now.revision, key,
			e.Kv.CreateRevision, e.Kv.Version, want.create, want.version)
	}
	h.state[key] = want
	return nil
}

// The events (audited, revision] from a watch that begins in the past, so that they come from the store's disk.
func (l *load) replay(client *clientv3.Client, revision int64) ([]event, error) {
	h := l.history
	ctx, cancel := context.WithTimeout(context.Background(), auditTimeout)
	defer cancel()
	var events []event
	if revision <= h.audited {
		return nil, nil
	}
	for answer := range client.Watch(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithRev(h.audited+1)) {
		if err := answer.Err(); err != nil {
			return nil, err
		}
		for _, e := range answer.Events {
			if e.Kv.ModRevision > revision {
				return events, nil
			}
			if err := h.checkOrder(e); err != nil {
				return nil, err
			}
			if err := h.apply(e); err != nil {
				return nil, err
			}
			events = append(events, toEvent(e))
		}
		if n := len(events); n > 0 && events[n-1].revision == revision {
			return events, nil
		}
	}
	return nil, fmt.Errorf("the history from %d to %d did not come within %v", h.audited+1, revision, auditTimeout)
}

// Every put that was acknowledged since the last audit is in the history at its revision, no revision is missing, every
// watcher saw exactly this history, and what is older may be compacted away.
func (l *load) audit() (string, error) {
	h := l.history
	if text, wrong := l.failed.Load().(string); wrong {
		return "", fmt.Errorf("%s", text)
	}
	client, err := dial(l.options.endpoint)
	if err != nil {
		return "", err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), auditTimeout)
	defer cancel()
	answer, err := client.Get(ctx, "none")
	if err != nil {
		return "", err
	}
	revision := answer.Header.Revision
	events, err := l.replay(client, revision)
	if err != nil {
		return "", err
	}
	promised := h.takePromises(revision)
	next := h.audited + 1
	for _, e := range events {
		if e.revision > next {
			return "", fmt.Errorf("revision %d is not in the history", next)
		}
		next = e.revision + 1
		promise, was := promised[e.revision]
		if was && promise.key == e.key && (promise.value != e.value || promise.lease != e.lease) {
			return "", fmt.Errorf("%s at revision %d is not what was acknowledged", e.key, e.revision)
		}
		if was && promise.key == e.key {
			delete(promised, e.revision)
			h.checked++
		}
	}
	for _, promise := range promised {
		return "", fmt.Errorf("%d acknowledged puts are lost, among them %s at revision %d", len(promised), promise.key,
			promise.revision)
	}
	// Up to where the slowest watcher would be resumed.
	compacted := revision
	for _, w := range l.watchers {
		seen, err := w.compare(events, revision)
		if err != nil {
			return "", err
		}
		if seen < compacted {
			compacted = seen
		}
	}
	h.events += int64(len(events))
	h.audited = revision
	if compacted > 1 {
		ctx, cancel := short()
		defer cancel()
		// Refused where the last one went as far.
		client.Compact(ctx, compacted)
	}
	return fmt.Sprintf("%d events up to revision %d, %d acknowledged puts found, %d keys, %d watchers agree", h.events, revision,
		h.checked, len(h.state), len(l.watchers)), nil
}

func difference(kv *mvccpb.KeyValue, want keyState, known bool) string {
	switch {
	case !known:
		return "should not be there"
	case hashOf(kv.Value) != want.value:
		return "has another value"
	case kv.CreateRevision != want.create || kv.ModRevision != want.mod || kv.Version != want.version || kv.Lease != want.lease:
		return fmt.Sprintf("has create %d, mod %d, version %d, lease %x", kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease)
	}
	return ""
}

// All keys of the store against what the events leave; no key of a lease may be left.
func (l *load) compareState() (string, error) {
	client, err := dial(l.options.endpoint)
	if err != nil {
		return "", err
	}
	defer client.Close()
	found, revision := 0, int64(0)
	for from := "\x00"; ; {
		ctx, cancel := short()
		page, err := client.Get(ctx, from, clientv3.WithFromKey(), clientv3.WithLimit(pageKeys), clientv3.WithRev(revision))
		cancel()
		if err != nil {
			return "", err
		}
		revision = page.Header.Revision
		for _, kv := range page.Kvs {
			want, known := l.history.state[string(kv.Key)]
			if text := difference(kv, want, known); text != "" {
				return "", fmt.Errorf("%s %s", kv.Key, text)
			}
			if strings.HasPrefix(string(kv.Key), leasePrefix) {
				return "", fmt.Errorf("%s is there, but its lease has run out", kv.Key)
			}
		}
		found += len(page.Kvs)
		if !page.More {
			break
		}
		from = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
	}
	if found != len(l.history.state) {
		return "", fmt.Errorf("%d keys are there, the history leaves %d", found, len(l.history.state))
	}
	return fmt.Sprintf("the state of %d keys at revision %d is what the history leaves", found, revision), nil
}
