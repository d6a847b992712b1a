// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math/rand"
	"strings"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/etcdserver/api/v3rpc/rpctypes"
)

const (
	writerPrefix = "k/"
	leasePrefix  = "l/"
	leaseSeconds = 3
	keysPerLease = 3
	// Beyond its time to live a lease may stay as long as a new leader gives all leases again, and a scan.
	expiryMargin = 10 * time.Second
)

func pause(ctx context.Context, duration time.Duration) {
	select {
	case <-time.After(duration):
	case <-ctx.Done():
	}
}

// Puts one key after the other of its share, over and over. A put whose outcome is not known is not sent again: whether it
// is there says nothing, but it must not be there twice, nor behind a later one.
func (l *load) write(ctx context.Context, client *clientv3.Client, writer int) {
	share := l.options.keys/l.options.writers + 1
	padding := strings.Repeat("v", l.options.value)
	for number := 1; ctx.Err() == nil; number++ {
		key := fmt.Sprintf("%s%02d/%d", writerPrefix, writer, number%share)
		value := fmt.Sprintf("%d %d %s", writer, number, padding)
		if !l.put(client, key, value, 0) {
			pause(ctx, reconnectDelay)
		}
	}
}

// clientv3 never sends a put twice by itself.
func (l *load) put(client *clientv3.Client, key, value string, lease clientv3.LeaseID) bool {
	ctx, cancel := short()
	defer cancel()
	answer, err := client.Put(ctx, key, value, clientv3.WithLease(lease))
	if err != nil {
		l.history.lost()
		return false
	}
	l.history.acknowledged(event{answer.Header.Revision, key, hashOf([]byte(value)), int64(lease)})
	return true
}

// One lease after the other: some are abandoned, some kept alive for a while, some revoked.
func (l *load) lease(ctx context.Context, client *clientv3.Client, worker int) {
	random := rand.New(rand.NewSource(int64(worker)))
	for number := 0; ctx.Err() == nil; number++ {
		granted, cancel := short()
		began := time.Now()
		lease, err := client.Grant(granted, leaseSeconds)
		cancel()
		if err != nil {
			pause(ctx, reconnectDelay)
			continue
		}
		var keys []string
		for i := 0; i < keysPerLease; i++ {
			key := fmt.Sprintf("%s%02d/%d/%d", leasePrefix, worker, number, i)
			if l.put(client, key, key, lease.ID) {
				keys = append(keys, key)
			}
		}
		l.keepAlive(ctx, client, lease.ID, keys, began, random.Intn(6))
		if random.Intn(3) == 0 {
			revoke, cancel := short()
			client.Revoke(revoke, lease.ID)
			cancel()
		} else if random.Intn(2) == 0 {
			l.waitForExpiry(ctx, client, keys)
		}
	}
}

// Renews it some times; as long as the last renewal is younger than its time to live, its keys must be there.
func (l *load) keepAlive(ctx context.Context, client *clientv3.Client, lease clientv3.LeaseID, keys []string, renewed time.Time, times int) {
	for ; times > 0 && ctx.Err() == nil; times-- {
		pause(ctx, leaseSeconds*time.Second/4)
		request, cancel := short()
		sent := time.Now()
		_, err := client.KeepAliveOnce(request, lease)
		cancel()
		young := time.Since(renewed) < leaseSeconds*time.Second
		if err == rpctypes.ErrLeaseNotFound && young {
			l.fail("lease %x ended %v after its last renewal, of %d s", lease, time.Since(renewed), leaseSeconds)
		}
		if err == nil {
			renewed = sent
		}
		if len(keys) == 0 {
			continue
		}
		request, cancel = short()
		answer, err := client.Get(request, keys[0])
		cancel()
		if err == nil && len(answer.Kvs) == 0 && time.Since(renewed) < leaseSeconds*time.Second {
			l.fail("%s is gone %v after the last renewal of its lease", keys[0], time.Since(renewed))
		}
	}
}

// An abandoned lease takes its keys along: awaited here for a while, so that leases run out under load. While the store is
// killed again and again each new leader gives a lease its whole time anew; that none stays is checked at the end.
func (l *load) waitForExpiry(ctx context.Context, client *clientv3.Client, keys []string) {
	deadline := time.Now().Add(expiryMargin)
	for len(keys) > 0 && ctx.Err() == nil && time.Now().Before(deadline) {
		request, cancel := short()
		answer, err := client.Get(request, keys[len(keys)-1])
		cancel()
		if err == nil && len(answer.Kvs) == 0 {
			return
		}
		pause(ctx, 50*time.Millisecond)
	}
}

// Nobody keeps a lease alive any more.
func (l *load) waitForNoLeases() error {
	client, err := dial(l.options.endpoint)
	if err != nil {
		return err
	}
	defer client.Close()
	deadline := time.Now().Add(leaseSeconds*time.Second + expiryMargin)
	for {
		request, cancel := short()
		answer, err := client.Leases(request)
		cancel()
		if err != nil {
			return err
		}
		if len(answer.Leases) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d leases are left, nobody keeps them alive", len(answer.Leases))
		}
		time.Sleep(50 * time.Millisecond)
	}
}
