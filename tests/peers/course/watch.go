// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/clientv3"
)

const (
	watchTimeout = 10 * time.Second
	leaseSeconds = 2
	// A lease dies at most about a second after its time; the rest is for a busy machine.
	expiryTimeout = 15 * time.Second
)

// Runs the changes once the watch is there and returns the first events as "PUT key value".
func observe(client *clientv3.Client, wanted int, timeout time.Duration, changes func() error, key string,
	options ...clientv3.OpOption) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	answers := client.Watch(ctx, key, append(options, clientv3.WithCreatedNotify())...)
	if created, ok := <-answers; !ok || !created.Created {
		return "", fmt.Errorf("the watch was not created")
	}
	if err := changes(); err != nil {
		return "", err
	}
	text := ""
	for count := 0; count < wanted; {
		answer, ok := <-answers
		if !ok || answer.Err() != nil {
			return "", fmt.Errorf("the watch ended after %q: %v", text, answer.Err())
		}
		for _, event := range answer.Events {
			text += fmt.Sprintf("%s %s %s\n", event.Type, event.Kv.Key, event.Kv.Value)
			count++
		}
	}
	return text, nil
}

func watchKey(client *clientv3.Client) error {
	events, err := observe(client, 3, watchTimeout, func() error {
		_, e1 := putOne(client, "watched", "1")
		_, e2 := putOne(client, "watched and more", "x")
		_, e3 := putOne(client, "watched", "2")
		_, e4 := client.Delete(context.Background(), "watched")
		return first(e1, e2, e3, e4)
	}, "watched")
	return first(err, equal("events", events, "PUT watched 1\nPUT watched 2\nDELETE watched \n"))
}

func watchPrefix(client *clientv3.Client) error {
	events, err := observe(client, 4, watchTimeout, func() error {
		_, e1 := putOne(client, "tree/a", "1")
		_, e2 := putOne(client, "tree/b", "2")
		_, e3 := putOne(client, "trees", "x")
		_, e4 := client.Delete(context.Background(), "tree/", clientv3.WithPrefix())
		return first(e1, e2, e3, e4)
	}, "tree/", clientv3.WithPrefix())
	return first(err, equal("events", events, "PUT tree/a 1\nPUT tree/b 2\nDELETE tree/a \nDELETE tree/b \n"))
}

func leasePut(client *clientv3.Client) error {
	ctx, cancel := requestContext()
	defer cancel()
	lease, err := client.Grant(ctx, leaseSeconds)
	if err != nil {
		return err
	}
	started := time.Now()
	events, err := observe(client, 2, expiryTimeout, func() error {
		_, err := putOne(client, "mortal", "value", clientv3.WithLease(lease.ID))
		return err
	}, "mortal")
	if err != nil {
		return err
	}
	if lived := time.Since(started); lived < (leaseSeconds-1)*time.Second {
		return fmt.Errorf("the key lived only %v", lived)
	}
	left, err := getSome(client, "mortal")
	return first(err,
		equal("granted TTL", lease.TTL, int64(leaseSeconds)),
		equal("events", events, "PUT mortal value\nDELETE mortal \n"),
		equal("what is left", len(left.Kvs), 0))
}
