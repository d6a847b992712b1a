// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/etcdserver/etcdserverpb"
	"go.etcd.io/etcd/mvcc/mvccpb"
	"google.golang.org/grpc"
)

// Watches through the plain protocol, so that nothing is hidden: when its stream breaks, the next watch in the history begins
// behind the last revision that was delivered.
type watcher struct {
	load   *load
	number int
	member int
	conn   *grpc.ClientConn
	close  func() error
	next   int64
	made   int
}

type watchRecord struct {
	Record   string `json:"record"`
	ID       int    `json:"id"`
	Key      string `json:"k"`
	End      string `json:"end,omitempty"`
	Start    int64  `json:"start"`
	PrevKV   bool   `json:"prev_kv,omitempty"`
	Resumed  bool   `json:"resumed,omitempty"`
	Complete bool   `json:"complete,omitempty"`
}

type watchResponseRecord struct {
	Record   string        `json:"record"`
	ID       int           `json:"id"`
	At       int64         `json:"at"`
	Member   int           `json:"member"`
	Rev      int64         `json:"rev"`
	Created  bool          `json:"created,omitempty"`
	Canceled bool          `json:"canceled,omitempty"`
	Fragment bool          `json:"fragment,omitempty"`
	Compact  int64         `json:"compact,omitempty"`
	Events   []eventRecord `json:"events,omitempty"`
}

func newWatcher(l *load, number int) (*watcher, error) {
	member := number % len(l.options.endpoints)
	etcd, err := dial(l.options.endpoints[member])
	if err != nil {
		return nil, err
	}
	return &watcher{load: l, number: number, member: member, conn: etcd.ActiveConnection(), close: etcd.Close, next: 2}, nil
}

func (w *watcher) done() bool {
	until := atomic.LoadInt64(&w.load.until)
	return until != 0 && w.next > until
}

func (w *watcher) run() {
	defer w.load.watching.Done()
	defer w.close()
	for !w.done() {
		w.watch()
		time.Sleep(reconnectDelay)
	}
}

// One stream, until it breaks or everything has been seen.
func (w *watcher) watch() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w.made++
	record := watchRecord{Record: "watch", ID: w.number*100000 + w.made, Key: "k", End: "l", Start: w.next,
		PrevKV: w.number%2 == 0, Resumed: w.made > 1}
	stream, err := pb.NewWatchClient(w.conn).Watch(ctx)
	if err != nil {
		return
	}
	request := &pb.WatchCreateRequest{Key: []byte(record.Key), RangeEnd: []byte(record.End), StartRevision: w.next,
		PrevKv: record.PrevKV, ProgressNotify: true}
	if stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: request}}) != nil {
		return
	}
	w.load.recorder.write(record)
	// A question now and then whether all is told: a quiet end of the run is noticed by its answer.
	go func() {
		for ctx.Err() == nil {
			time.Sleep(200 * time.Millisecond)
			stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}})
		}
	}()
	for !w.done() {
		answer, err := stream.Recv()
		if err != nil {
			return
		}
		w.take(record.ID, answer)
		if answer.Canceled {
			return
		}
	}
	record.Complete = true
	w.load.recorder.write(record)
}

func (w *watcher) take(id int, answer *pb.WatchResponse) {
	record := watchResponseRecord{Record: "watch_response", ID: id, At: w.load.recorder.now(), Member: w.member + 1,
		Rev: answer.Header.Revision, Created: answer.Created, Canceled: answer.Canceled, Fragment: answer.Fragment,
		Compact: answer.CompactRevision}
	for _, e := range answer.Events {
		record.Events = append(record.Events, toEvent((*mvccpb.Event)(e)))
		w.next = e.Kv.ModRevision + 1
	}
	if !answer.Created && !answer.Canceled && len(answer.Events) == 0 && answer.Header.Revision >= w.next {
		w.next = answer.Header.Revision + 1
	}
	w.load.recorder.write(record)
}
