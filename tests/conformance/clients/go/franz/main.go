// franz-go as a driver; ../../README.md tells what each command does.
package main

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strconv"
	"sync"
	"time"

	"conformance/driver"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var ctx = context.Background()

func client(address string, options ...kgo.Opt) *kgo.Client {
	c, err := kgo.NewClient(append(options, kgo.SeedBrokers(address))...)
	driver.Check(err)
	return c
}

func write(address, topic, codec string, from []driver.Record) {
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	c := client(address, kgo.ProducerBatchCompression(codecs[codec]), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	var records []*kgo.Record
	for _, r := range from {
		record := &kgo.Record{Topic: topic, Partition: r.Partition, Key: driver.Bytes(r.Key), Value: driver.Bytes(r.Value),
			Timestamp: time.UnixMilli(r.Timestamp)}
		for _, h := range r.Headers {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: *h[0], Value: driver.Bytes(h[1])})
		}
		records = append(records, record)
	}
	driver.Check(c.ProduceSync(ctx, records...).FirstErr())
	c.Close()
}

func show(r *kgo.Record) {
	shown := driver.Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Key: driver.Text(r.Key),
		Value: driver.Text(r.Value), Headers: [][2]*string{}, Timestamp: r.Timestamp.UnixMilli()}
	for _, h := range r.Headers {
		name := h.Key
		shown.Headers = append(shown.Headers, [2]*string{&name, driver.Text(h.Value)})
	}
	driver.Say(shown)
}

func read(address, count string, topics ...string) {
	left, err := strconv.Atoi(count)
	driver.Check(err)
	c := client(address, kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	for left > 0 {
		fetches := c.PollFetches(ctx)
		driver.Check(fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) {
			show(r)
			left--
		})
	}
	c.Close()
}

func group(address, name, topic string, protocol ...string) {
	var lock sync.Mutex
	mine := map[int32]bool{}
	changed := func(say bool, partitions []int32, on bool) {
		lock.Lock()
		defer lock.Unlock()
		for _, p := range partitions {
			if delete(mine, p); on {
				mine[p] = true
			}
		}
		if say {
			sorted := []int32{}
			for p := range mine {
				sorted = append(sorted, p)
			}
			sort.Slice(sorted, func(i, j int) bool { return sorted[i] < sorted[j] })
			driver.Say(map[string]any{"assigned": sorted})
		}
	}
	lost := func(_ context.Context, _ *kgo.Client, p map[string][]int32) { changed(false, p[topic], false) }
	options := []kgo.Opt{kgo.ConsumerGroup(name), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.HeartbeatInterval(500 * time.Millisecond),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { changed(true, p[topic], true) }),
		kgo.OnPartitionsRevoked(lost), kgo.OnPartitionsLost(lost), kgo.BlockRebalanceOnPoll()}
	if len(protocol) > 0 && protocol[0] == "consumer" {
		options = append(options, kgo.WithContext(context.WithValue(ctx, "opt_in_kafka_next_gen_balancer_beta", true)))
	}
	c := client(address, options...)
	stop, ended := context.WithCancel(ctx)
	go func() {
		<-driver.ToldToStop()
		ended()
	}()
	for stop.Err() == nil {
		fetches := c.PollFetches(stop)
		if records := fetches.Records(); len(records) > 0 {
			driver.Check(c.CommitRecords(ctx, records...))
			for _, r := range records {
				show(r)
			}
		}
		c.AllowRebalance()
	}
	c.Close()
	driver.Say(map[string]bool{"closed": true})
}

// commitWith adds an offset to the open transaction as GroupTransactSession would after having consumed up to there.
func commitWith(c *kgo.Client, id, name, source string, offset int64) {
	producer, epoch, err := c.ProducerID(ctx)
	driver.Check(err)
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = id, producer, epoch, name
	added, err := add.RequestWith(ctx, c)
	driver.Check(err)
	if added.ErrorCode != 0 {
		driver.Check(fmt.Errorf("AddOffsetsToTxn: error %d", added.ErrorCode))
	}
	commit := kmsg.NewPtrTxnOffsetCommitRequest()
	commit.TransactionalID, commit.ProducerID, commit.ProducerEpoch, commit.Group, commit.Generation = id, producer, epoch, name, -1
	topic, partition := kmsg.NewTxnOffsetCommitRequestTopic(), kmsg.NewTxnOffsetCommitRequestTopicPartition()
	topic.Topic, partition.Offset = source, offset
	topic.Partitions = append(topic.Partitions, partition)
	commit.Topics = append(commit.Topics, topic)
	committed, err := commit.RequestWith(ctx, c)
	driver.Check(err)
	if code := committed.Topics[0].Partitions[0].ErrorCode; code != 0 {
		driver.Check(fmt.Errorf("TxnOffsetCommit: error %d", code))
	}
}

func txn(address, out, name, source string) {
	id := "franz-" + out
	c := client(address, kgo.TransactionalID(id), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for _, t := range driver.Transactions() {
		driver.Check(c.BeginTransaction())
		for _, v := range t.Values {
			driver.Check(c.ProduceSync(ctx, &kgo.Record{Topic: out, Value: []byte(v)}).FirstErr())
		}
		if t.Offset >= 0 {
			commitWith(c, id, name, source, t.Offset)
		}
		driver.Check(c.EndTransaction(ctx, kgo.TransactionEndTry(t.Commit)))
	}
	c.Close()
}

func admin(address, topic, name, source string) {
	c := kadm.NewClient(client(address))
	var found driver.Found
	retention := func() {
		configs, err := c.DescribeTopicConfigs(ctx, topic)
		driver.Check(err)
		for _, config := range configs[0].Configs {
			if config.Key == "retention.ms" {
				found.Retention = append(found.Retention, *config.Value)
			}
		}
	}
	_, err := c.CreateTopic(ctx, 2, 1, map[string]*string{"retention.ms": &driver.Retention[0]}, topic)
	driver.Check(err)
	retention()
	altered, err := c.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &driver.Retention[1]}},
		topic)
	driver.Check(err)
	driver.Check(altered[0].Err)
	retention()
	created, err := c.UpdatePartitions(ctx, 4, topic)
	driver.Check(err)
	driver.Check(created.Error())
	topics, err := c.ListTopics(ctx, topic)
	driver.Check(err)
	found.Partitions = len(topics[topic].Partitions)
	deleted, err := c.DeleteRecords(ctx, kadm.Offsets{source: {0: {Topic: source, Partition: 0, At: 3}}})
	driver.Check(err)
	low, _ := deleted.Lookup(source, 0)
	found.Low = low.LowWatermark
	groups, err := c.ListGroups(ctx)
	driver.Check(err)
	_, found.Listed = groups[name]
	described, err := c.DescribeGroups(ctx, name)
	driver.Check(err)
	found.State = described[name].State
	offsets, err := c.FetchOffsets(ctx, name)
	driver.Check(err)
	offsets.Each(func(o kadm.OffsetResponse) { found.Offsets = append(found.Offsets, []any{o.Topic, o.Partition, o.At}) })
	_, err = c.DeleteGroup(ctx, name)
	driver.Check(err)
	_, err = c.DeleteTopic(ctx, topic)
	driver.Check(err)
	topics, err = c.ListTopics(ctx)
	driver.Check(err)
	found.Left = topics.Has(topic)
	driver.Say(found)
	c.Close()
}

func main() {
	switch a := os.Args[2:]; os.Args[1] {
	case "write":
		records := driver.Records()
		for _, codec := range a[2:] {
			write(a[0], a[1]+"-"+codec, codec, records)
		}
	case "read":
		read(a[0], a[1], a[2:]...)
	case "group":
		group(a[0], a[1], a[2], a[3:]...)
	case "txn":
		txn(a[0], a[1], a[2], a[3])
	case "admin":
		admin(a[0], a[1], a[2], a[3])
	}
}
