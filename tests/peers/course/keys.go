// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go.etcd.io/etcd/clientv3"
)

func put(client *clientv3.Client) error {
	one, err := putOne(client, "/logagent/conf/", "first")
	if err != nil {
		return err
	}
	two, err := putOne(client, "/logagent/conf/", "second", clientv3.WithPrevKV())
	if err != nil {
		return err
	}
	return first(
		equal("revision of the second put", two.Header.Revision, one.Header.Revision+1),
		equal("previous value", string(two.PrevKv.Value), "first"),
		equal("previous version", two.PrevKv.Version, int64(1)))
}

func get(client *clientv3.Client) error {
	if _, err := putOne(client, "sample_key", "sample_value"); err != nil {
		return err
	}
	found, err := getSome(client, "sample_key")
	if err != nil {
		return err
	}
	absent, err := getSome(client, "no such key")
	if err != nil {
		return err
	}
	return first(
		equal("answer", pairs(found.Kvs), "sample_key=sample_value "),
		equal("count", found.Count, int64(1)),
		equal("mod revision", found.Kvs[0].ModRevision, found.Header.Revision),
		equal("answer for an absent key", pairs(absent.Kvs), ""))
}

func remove(client *clientv3.Client) error {
	if _, err := putOne(client, "doomed", "value"); err != nil {
		return err
	}
	ctx, cancel := requestContext()
	defer cancel()
	deleted, err := client.Delete(ctx, "doomed", clientv3.WithPrevKV())
	if err != nil {
		return err
	}
	again, err := client.Delete(ctx, "doomed")
	if err != nil {
		return err
	}
	found, err := getSome(client, "doomed")
	if err != nil {
		return err
	}
	return first(
		equal("deleted", deleted.Deleted, int64(1)),
		equal("previous", pairs(deleted.PrevKvs), "doomed=value "),
		equal("deleted the second time", again.Deleted, int64(0)),
		equal("revision of deleting nothing", again.Header.Revision, deleted.Header.Revision),
		equal("what is left", pairs(found.Kvs), ""))
}

func prefixGetAndDelete(client *clientv3.Client) error {
	for _, key := range []string{"dir/b", "dir/a", "dir/c", "dirt"} {
		if _, err := putOne(client, key, "v"); err != nil {
			return err
		}
	}
	ascending, err := getSome(client, "dir/", clientv3.WithPrefix())
	if err != nil {
		return err
	}
	descending, err := getSome(client, "dir/", clientv3.WithPrefix(), clientv3.WithLimit(2),
		clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend))
	if err != nil {
		return err
	}
	ctx, cancel := requestContext()
	defer cancel()
	deleted, err := client.Delete(ctx, "dir/", clientv3.WithPrefix())
	if err != nil {
		return err
	}
	left, err := getSome(client, "dir", clientv3.WithPrefix())
	if err != nil {
		return err
	}
	return first(
		equal("ascending", pairs(ascending.Kvs), "dir/a=v dir/b=v dir/c=v "),
		equal("descending, two of them", pairs(descending.Kvs), "dir/c=v dir/b=v "),
		equal("more", descending.More, true),
		equal("deleted", deleted.Deleted, int64(3)),
		equal("what is left", pairs(left.Kvs), "dirt=v "))
}

func getAtRevision(client *clientv3.Client) error {
	old, err := putOne(client, "history", "old")
	if err != nil {
		return err
	}
	if _, err := putOne(client, "history", "new"); err != nil {
		return err
	}
	now, err := getSome(client, "history")
	if err != nil {
		return err
	}
	then, err := getSome(client, "history", clientv3.WithRev(old.Header.Revision))
	if err != nil {
		return err
	}
	_, future := getSome(client, "history", clientv3.WithRev(now.Header.Revision+10))
	if future == nil {
		return equal("error of a future revision", "none", "some")
	}
	return first(
		equal("now", pairs(now.Kvs), "history=new "),
		equal("then", pairs(then.Kvs), "history=old "),
		equal("revision of the header", then.Header.Revision, now.Header.Revision),
		equal("error of a future revision", future.Error(), "etcdserver: mvcc: required revision is a future revision"))
}
