// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math/rand"
	"strings"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/etcdserver/api/v3rpc/rpctypes"
	pb "go.etcd.io/etcd/etcdserver/etcdserverpb"
)

const (
	leaseSeconds  = 3
	pauseOnError  = 10 * time.Millisecond
	longestLeases = 40
)

// What is certainly without effect: the server says so before it proposes anything, or at apply.
var refusals = map[error]bool{
	rpctypes.ErrTooManyRequests: true,
	rpctypes.ErrNoSpace:         true,
	rpctypes.ErrLeaseNotFound:   true,
	rpctypes.ErrCompacted:       true,
	rpctypes.ErrFutureRev:       true,
	rpctypes.ErrKeyNotFound:     true,
}

type client struct {
	load   *load
	number int
	member int // index of its endpoint
	etcd   *clientv3.Client
	random *rand.Rand
	writes int
}

func newClient(l *load, number int) (*client, error) {
	member := number % len(l.options.endpoints)
	etcd, err := dial(l.options.endpoints[member])
	if err != nil {
		return nil, err
	}
	return &client{load: l, number: number + 1, member: member, etcd: etcd, random: rand.New(rand.NewSource(int64(number)))}, nil
}

// clientv3 sends a revoke again after a broken connection: the first one may have been done.
func doneBefore(request string, err error) bool {
	return request == "revoke" && err == rpctypes.ErrLeaseNotFound
}

// Runs one operation and writes down how it ended; true if it was answered.
func (c *client) record(op opRecord, call func(ctx context.Context, op *opRecord) error) bool {
	r := c.load.recorder
	op.Record, op.Client = "op", c.number
	life := c.load.lives.of(c.member)
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	op.Call = r.now()
	err := call(ctx, &op)
	ret := r.now()
	switch {
	case err == nil:
		op.Outcome, op.Ret = "ok", &ret
		if life != 0 && c.load.lives.of(c.member) == life {
			op.Member, op.Life = c.member+1, life
		}
		atomic.AddInt64(&r.answered, 1)
	case refusals[rpctypes.Error(err)] && !doneBefore(op.Request, rpctypes.Error(err)):
		op.Outcome, op.Ret, op.Error = "failed", &ret, err.Error()
		atomic.AddInt64(&r.refused, 1)
	default:
		op.Outcome, op.Error = "unknown", err.Error()
		atomic.AddInt64(&r.unknown, 1)
	}
	r.write(op)
	return err == nil
}

func (c *client) key() string { return fmt.Sprintf("k%02d", c.random.Intn(c.load.options.keys)) }

func (c *client) value() string {
	c.writes++
	value := fmt.Sprintf("%d.%d", c.number, c.writes)
	if missing := c.load.options.valueBytes - len(value); missing > 0 {
		value += strings.Repeat(".", missing)
	}
	return value
}

func (c *client) run(ctx context.Context) {
	defer c.etcd.Close()
	for ctx.Err() == nil {
		var answered bool
		switch kind := c.random.Intn(20); {
		case kind < 7:
			answered = c.put(0)
		case kind < 11:
			answered = c.get(false)
		case kind < 14:
			answered = c.get(true)
		case kind < 15:
			answered = c.list()
		case kind < 17:
			answered = c.remove()
		default:
			answered = c.compareAndSwap()
		}
		wait := c.load.options.pause
		if !answered {
			wait += pauseOnError
		}
		if wait > 0 {
			time.Sleep(wait)
		}
	}
}

func (c *client) put(lease int64) bool {
	return c.putKey(c.key(), lease)
}

func (c *client) putKey(key string, lease int64) bool {
	step := stepRecord{Do: "put", Key: key, Value: c.value(), Lease: lease, PrevKV: c.random.Intn(2) == 0}
	return c.record(opRecord{Request: "txn", Txn: &txnRecord{Then: []stepRecord{step}}}, func(ctx context.Context, op *opRecord) error {
		how := []clientv3.OpOption{clientv3.WithLease(clientv3.LeaseID(lease))}
		if step.PrevKV {
			how = append(how, clientv3.WithPrevKV())
		}
		answer, err := c.etcd.Put(ctx, step.Key, step.Value, how...)
		if err != nil {
			return err
		}
		result := resultRecord{}
		if answer.PrevKv != nil {
			result.Kvs = []keyValue{toKeyValue(answer.PrevKv)}
		}
		op.Rev, op.Results = answer.Header.Revision, []resultRecord{result}
		return nil
	})
}

func (c *client) ranges(step stepRecord, serializable bool, how ...clientv3.OpOption) bool {
	op := opRecord{Request: "txn", Serializable: serializable, Txn: &txnRecord{Then: []stepRecord{step}}}
	return c.record(op, func(ctx context.Context, op *opRecord) error {
		if serializable {
			how = append(how, clientv3.WithSerializable())
		}
		answer, err := c.etcd.Get(ctx, step.Key, how...)
		if err != nil {
			return err
		}
		op.Rev = answer.Header.Revision
		op.Results = []resultRecord{{toKeyValues(answer.Kvs), answer.Count, answer.More}}
		return nil
	})
}

func (c *client) get(serializable bool) bool {
	return c.ranges(stepRecord{Do: "range", Key: c.key()}, serializable)
}

func (c *client) list() bool {
	return c.ranges(stepRecord{Do: "range", Key: "k", End: "l", Limit: 5}, false, clientv3.WithRange("l"), clientv3.WithLimit(5))
}

func (c *client) remove() bool {
	step := stepRecord{Do: "delete", Key: c.key(), PrevKV: true}
	return c.record(opRecord{Request: "txn", Txn: &txnRecord{Then: []stepRecord{step}}}, func(ctx context.Context, op *opRecord) error {
		answer, err := c.etcd.Delete(ctx, step.Key, clientv3.WithPrevKV())
		if err != nil {
			return err
		}
		op.Rev, op.Results = answer.Header.Revision, []resultRecord{{toKeyValues(answer.PrevKvs), answer.Deleted, false}}
		return nil
	})
}

// Puts if nobody has since a read; the other branch reads again.
func (c *client) compareAndSwap() bool {
	key := c.key()
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	seen, err := c.etcd.Get(ctx, key, clientv3.WithSerializable())
	if err != nil {
		return false
	}
	mod := int64(0)
	if len(seen.Kvs) > 0 {
		mod = seen.Kvs[0].ModRevision
	}
	put := stepRecord{Do: "put", Key: key, Value: c.value()}
	txn := &txnRecord{If: []compareRecord{{"mod", "=", key, mod}}, Then: []stepRecord{put},
		Else: []stepRecord{{Do: "range", Key: key}}}
	return c.record(opRecord{Request: "txn", Txn: txn}, func(ctx context.Context, op *opRecord) error {
		answer, err := c.etcd.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", mod)).
			Then(clientv3.OpPut(key, put.Value)).Else(clientv3.OpGet(key)).Commit()
		if err != nil {
			return err
		}
		op.Rev, op.ElseTaken = answer.Header.Revision, !answer.Succeeded
		op.Results = []resultRecord{{}}
		if !answer.Succeeded {
			found := answer.Responses[0].GetResponseRange()
			op.Results = []resultRecord{{toKeyValues(found.Kvs), found.Count, found.More}}
		}
		return nil
	})
}

// Grants leases with a key each, renews them some times, and revokes or abandons them.
func (c *client) leases(ctx context.Context) {
	defer c.etcd.Close()
	for number := 0; ctx.Err() == nil && number < longestLeases; number++ {
		id := int64(c.number)*1000 + int64(number) + 1
		granted := c.record(opRecord{Request: "grant", Lease: id, TTL: leaseSeconds}, func(ctx context.Context, op *opRecord) error {
			answer, err := pb.NewLeaseClient(c.etcd.ActiveConnection()).LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: id, TTL: leaseSeconds})
			if err != nil {
				return err
			}
			op.Rev, op.TTL = answer.Header.Revision, answer.TTL
			return nil
		})
		if !granted {
			time.Sleep(pauseOnError)
			continue
		}
		c.putKey(fmt.Sprintf("k/lease/%d", id), id)
		for times := c.random.Intn(4); times > 0 && ctx.Err() == nil; times-- {
			time.Sleep(leaseSeconds * time.Second / 4)
			c.keepAlive(id)
		}
		if c.random.Intn(2) == 0 {
			c.record(opRecord{Request: "revoke", Lease: id}, func(ctx context.Context, op *opRecord) error {
				answer, err := c.etcd.Revoke(ctx, clientv3.LeaseID(id))
				if err == nil {
					op.Rev = answer.Header.Revision
				}
				return err
			})
		}
	}
}

func (c *client) keepAlive(id int64) {
	c.record(opRecord{Request: "keepalive", Lease: id}, func(ctx context.Context, op *opRecord) error {
		answer, err := c.etcd.KeepAliveOnce(ctx, clientv3.LeaseID(id))
		if err == nil {
			op.Rev, op.TTL = answer.Revision, answer.TTL
		}
		return err
	})
}
