// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/mvcc/mvccpb"
)

func requestContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), requestTimeout)
}

func putOne(client *clientv3.Client, key, value string, options ...clientv3.OpOption) (*clientv3.PutResponse, error) {
	ctx, cancel := requestContext()
	defer cancel()
	return client.Put(ctx, key, value, options...)
}

func getSome(client *clientv3.Client, key string, options ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	ctx, cancel := requestContext()
	defer cancel()
	return client.Get(ctx, key, options...)
}

func equal(what string, got, want interface{}) error {
	if got != want {
		return fmt.Errorf("%s is %v, want %v", what, got, want)
	}
	return nil
}

// "key=value" of each pair, in the order of the answer.
func pairs(kvs []*mvccpb.KeyValue) string {
	text := ""
	for _, kv := range kvs {
		text += fmt.Sprintf("%s=%s ", kv.Key, kv.Value)
	}
	return text
}

func first(errors ...error) error {
	for _, err := range errors {
		if err != nil {
			return err
		}
	}
	return nil
}
