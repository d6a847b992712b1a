// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"os"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/mvcc/mvccpb"
)

const (
	pageKeys     = 5000
	singleGets   = 5000
	problemsSaid = 10
)

type acknowledged struct {
	key, value string
	revision   int64
}

func readLedger(path string) ([]acknowledged, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var all []acknowledged
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var one acknowledged
		if _, err := fmt.Sscanf(lines.Text(), "%s %s %d", &one.key, &one.value, &one.revision); err != nil {
			return nil, fmt.Errorf("%s: %q: %v", path, lines.Text(), err)
		}
		all = append(all, one)
	}
	return all, nil
}

func get(client *clientv3.Client, key string, options ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	return client.Get(ctx, key, options...)
}

// Everything under the prefix at one revision, page by page, and that revision.
func readAll(client *clientv3.Client) (map[string]*mvccpb.KeyValue, int64, error) {
	found := map[string]*mvccpb.KeyValue{}
	end := clientv3.GetPrefixRangeEnd(prefix)
	revision := int64(0)
	for from := prefix; ; {
		page, err := get(client, from, clientv3.WithRange(end), clientv3.WithLimit(pageKeys), clientv3.WithRev(revision))
		if err != nil {
			return nil, 0, err
		}
		if revision == 0 {
			revision = page.Header.Revision
		}
		for _, kv := range page.Kvs {
			found[string(kv.Key)] = kv
		}
		if !page.More {
			return found, revision, nil
		}
		from = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
	}
}

// Says what is wrong with one pair, or nothing.
func problem(one acknowledged, kv *mvccpb.KeyValue) string {
	switch {
	case kv == nil:
		return "is not there"
	case string(kv.Value) != one.value:
		return fmt.Sprintf("has value %q", kv.Value)
	case kv.ModRevision != one.revision || kv.CreateRevision != one.revision || kv.Version != 1:
		return fmt.Sprintf("has mod revision %d, create revision %d, version %d", kv.ModRevision, kv.CreateRevision, kv.Version)
	}
	return ""
}

type findings struct{ count int }

func (f *findings) add(format string, arguments ...interface{}) {
	if f.count++; f.count <= problemsSaid {
		fmt.Printf("  "+format+"\n", arguments...)
	}
}

// No two keys share a revision: each was put once, by a request of its own.
func checkUnique(found map[string]*mvccpb.KeyValue, wrong *findings) {
	keyOf := map[int64]string{}
	for key, kv := range found {
		if other, taken := keyOf[kv.ModRevision]; taken {
			wrong.add("%s and %s share revision %d", key, other, kv.ModRevision)
		}
		keyOf[kv.ModRevision] = key
	}
}

func checkSingleGets(client *clientv3.Client, all []acknowledged, wrong *findings) (int, error) {
	step := len(all)/singleGets + 1
	asked := 0
	for i := 0; i < len(all); i += step {
		one := all[i]
		// At the revision of the put itself, so that history is looked at as well.
		answer, err := get(client, one.key, clientv3.WithRev(one.revision))
		if err != nil {
			return asked, err
		}
		asked++
		var kv *mvccpb.KeyValue
		if len(answer.Kvs) > 0 {
			kv = answer.Kvs[0]
		}
		if text := problem(one, kv); text != "" {
			wrong.add("%s, got at its revision %d: %s", one.key, one.revision, text)
		}
	}
	return asked, nil
}

func verify(endpoint, path string) error {
	all, err := readLedger(path)
	if err != nil {
		return err
	}
	client, err := dial(endpoint)
	if err != nil {
		return err
	}
	defer client.Close()
	found, revision, err := readAll(client)
	if err != nil {
		return err
	}
	wrong := &findings{}
	seen := map[int64]string{}
	for _, one := range all {
		if other, taken := seen[one.revision]; taken {
			wrong.add("%s and %s were acknowledged with revision %d", one.key, other, one.revision)
		}
		seen[one.revision] = one.key
		if text := problem(one, found[one.key]); text != "" {
			wrong.add("%s, acknowledged with revision %d: %s", one.key, one.revision, text)
		}
	}
	checkUnique(found, wrong)
	asked, err := checkSingleGets(client, all, wrong)
	if err != nil {
		return err
	}
	fmt.Printf("%d acknowledged puts looked for, %d keys there (%d never acknowledged), store at revision %d, %d single gets\n",
		len(all), len(found), len(found)-len(all), revision, asked)
	if wrong.count > 0 {
		return fmt.Errorf("%d problems", wrong.count)
	}
	return nil
}
