// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/mvcc/mvccpb"
)

const replayTimeout = 120 * time.Second

// The records of tests/check/README.md.
type keyValue struct {
	Key     string `json:"k,omitempty"`
	Value   string `json:"v,omitempty"`
	Create  int64  `json:"create,omitempty"`
	Mod     int64  `json:"mod,omitempty"`
	Version int64  `json:"version,omitempty"`
	Lease   int64  `json:"lease,omitempty"`
}

type eventRecord struct {
	keyValue
	Delete bool      `json:"delete,omitempty"`
	Prev   *keyValue `json:"prev,omitempty"`
}

type compareRecord struct {
	Target string `json:"target"`
	Is     string `json:"is"`
	Key    string `json:"k"`
	Number int64  `json:"number,omitempty"`
}

type stepRecord struct {
	Do     string `json:"do"`
	Key    string `json:"k"`
	End    string `json:"end,omitempty"`
	Value  string `json:"v,omitempty"`
	Lease  int64  `json:"lease,omitempty"`
	PrevKV bool   `json:"prev_kv,omitempty"`
	Limit  int64  `json:"limit,omitempty"`
	Rev    int64  `json:"rev,omitempty"`
}

type txnRecord struct {
	If   []compareRecord `json:"if,omitempty"`
	Then []stepRecord    `json:"then,omitempty"`
	Else []stepRecord    `json:"else,omitempty"`
}

type resultRecord struct {
	Kvs   []keyValue `json:"kvs,omitempty"`
	Count int64      `json:"count,omitempty"`
	More  bool       `json:"more,omitempty"`
}

type opRecord struct {
	Record       string         `json:"record"`
	Client       int            `json:"client"`
	Member       int            `json:"member,omitempty"`
	Life         int64          `json:"life,omitempty"`
	Call         int64          `json:"call"`
	Ret          *int64         `json:"ret,omitempty"`
	Outcome      string         `json:"outcome"`
	Error        string         `json:"error,omitempty"`
	Request      string         `json:"request"`
	Serializable bool           `json:"serializable,omitempty"`
	Txn          *txnRecord     `json:"txn,omitempty"`
	Lease        int64          `json:"lease,omitempty"`
	TTL          int64          `json:"ttl,omitempty"`
	Rev          int64          `json:"rev,omitempty"`
	ElseTaken    bool           `json:"else_taken,omitempty"`
	Results      []resultRecord `json:"results,omitempty"`
}

type commitRecord struct {
	Record string        `json:"record"`
	Rev    int64         `json:"rev"`
	Events []eventRecord `json:"events"`
}

func toKeyValue(kv *mvccpb.KeyValue) keyValue {
	return keyValue{string(kv.Key), string(kv.Value), kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease}
}

func toKeyValues(kvs []*mvccpb.KeyValue) []keyValue {
	var all []keyValue
	for _, kv := range kvs {
		all = append(all, toKeyValue(kv))
	}
	return all
}

func toEvent(e *mvccpb.Event) eventRecord {
	record := eventRecord{keyValue: toKeyValue(e.Kv), Delete: e.Type == mvccpb.DELETE}
	if e.PrevKv != nil {
		prev := toKeyValue(e.PrevKv)
		record.Prev = &prev
	}
	return record
}

// All transactions, from a watch of everything that begins with the first; returns the last revision.
func (l *load) replay(endpoint string) (int64, error) {
	client, err := dial(endpoint)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), replayTimeout)
	defer cancel()
	// Their ends are transactions too.
	for {
		left, err := client.Leases(ctx)
		if err != nil {
			return 0, err
		}
		if len(left.Leases) == 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	answer, err := client.Get(ctx, "none")
	if err != nil {
		return 0, err
	}
	revision := answer.Header.Revision
	commit := commitRecord{Record: "commit"}
	flush := func() {
		if commit.Rev != 0 {
			l.recorder.write(commit)
		}
	}
	if revision == 1 {
		return revision, nil
	}
	for answer := range client.Watch(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithRev(2)) {
		if err := answer.Err(); err != nil {
			return 0, err
		}
		for _, e := range answer.Events {
			if e.Kv.ModRevision > revision {
				flush()
				return revision, nil
			}
			if e.Kv.ModRevision != commit.Rev {
				flush()
				commit = commitRecord{Record: "commit", Rev: e.Kv.ModRevision}
			}
			commit.Events = append(commit.Events, toEvent((*mvccpb.Event)(e)))
		}
		if commit.Rev == revision {
			flush()
			return revision, nil
		}
	}
	return 0, fmt.Errorf("the history up to %d did not come within %v", revision, replayTimeout)
}
