// sarama as a driver; ../../README.md tells what each command does.
package main

import (
	"context"
	"os"
	"sort"
	"strconv"
	"time"

	"conformance/driver"

	"github.com/IBM/sarama"
)

func config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Enable = false
	c.Consumer.IsolationLevel = sarama.ReadCommitted
	c.Producer.Return.Successes = true
	c.Producer.Partitioner = sarama.NewManualPartitioner
	return c
}

func encoder(s *string) sarama.Encoder {
	if s == nil {
		return nil
	}
	return sarama.StringEncoder(*s)
}

func write(address, topic, codec string, from []driver.Record) {
	c := config()
	c.Producer.Idempotent, c.Producer.RequiredAcks, c.Net.MaxOpenRequests = true, sarama.WaitForAll, 1
	driver.Check(c.Producer.Compression.UnmarshalText([]byte(codec)))
	producer, err := sarama.NewSyncProducer([]string{address}, c)
	driver.Check(err)
	var messages []*sarama.ProducerMessage
	for _, r := range from {
		m := &sarama.ProducerMessage{Topic: topic, Partition: r.Partition, Key: encoder(r.Key), Value: encoder(r.Value),
			Timestamp: time.UnixMilli(r.Timestamp)}
		for _, h := range r.Headers {
			m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(*h[0]), Value: driver.Bytes(h[1])})
		}
		messages = append(messages, m)
	}
	driver.Check(producer.SendMessages(messages))
	driver.Check(producer.Close())
}

func show(m *sarama.ConsumerMessage) {
	shown := driver.Record{Topic: m.Topic, Partition: m.Partition, Offset: m.Offset, Key: driver.Text(m.Key),
		Value: driver.Text(m.Value), Headers: [][2]*string{}, Timestamp: m.Timestamp.UnixMilli()}
	for _, h := range m.Headers {
		shown.Headers = append(shown.Headers, [2]*string{driver.Text(h.Key), driver.Text(h.Value)})
	}
	driver.Say(shown)
}

func read(address, count string, topics ...string) {
	left, err := strconv.Atoi(count)
	driver.Check(err)
	consumer, err := sarama.NewConsumer([]string{address}, config())
	driver.Check(err)
	messages := make(chan *sarama.ConsumerMessage)
	for _, topic := range topics {
		partitions, err := consumer.Partitions(topic)
		driver.Check(err)
		for _, p := range partitions {
			part, err := consumer.ConsumePartition(topic, p, sarama.OffsetOldest)
			driver.Check(err)
			go func() {
				for m := range part.Messages() {
					messages <- m
				}
			}()
		}
	}
	for ; left > 0; left-- {
		show(<-messages)
	}
}

type member struct{ topic string }

func (m member) Setup(s sarama.ConsumerGroupSession) error {
	mine := append([]int32{}, s.Claims()[m.topic]...)
	sort.Slice(mine, func(i, j int) bool { return mine[i] < mine[j] })
	driver.Say(map[string]any{"assigned": mine})
	return nil
}

func (m member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m member) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			s.MarkMessage(message, "")
			s.Commit()
			show(message)
		case <-s.Context().Done():
			return nil
		}
	}
}

func group(address, name, topic string) {
	c := config()
	c.Consumer.Group.Session.Timeout, c.Consumer.Group.Heartbeat.Interval = 45*time.Second, 500*time.Millisecond
	g, err := sarama.NewConsumerGroup([]string{address}, name, c)
	driver.Check(err)
	stop, ended := context.WithCancel(context.Background())
	go func() {
		<-driver.ToldToStop()
		ended()
	}()
	for stop.Err() == nil {
		driver.Check(g.Consume(stop, []string{topic}, member{topic}))
	}
	driver.Check(g.Close())
	driver.Say(map[string]bool{"closed": true})
}

func txn(address, out, name, source string) {
	c := config()
	c.Producer.Idempotent, c.Producer.RequiredAcks, c.Net.MaxOpenRequests = true, sarama.WaitForAll, 1
	c.Producer.Transaction.ID = "sarama-" + out
	producer, err := sarama.NewSyncProducer([]string{address}, c)
	driver.Check(err)
	for _, t := range driver.Transactions() {
		driver.Check(producer.BeginTxn())
		for _, v := range t.Values {
			_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: out, Value: sarama.StringEncoder(v)})
			driver.Check(err)
		}
		if t.Offset >= 0 {
			driver.Check(producer.AddOffsetsToTxn(map[string][]*sarama.PartitionOffsetMetadata{
				source: {{Partition: 0, Offset: t.Offset}}}, name))
		}
		if t.Commit {
			driver.Check(producer.CommitTxn())
		} else {
			driver.Check(producer.AbortTxn())
		}
	}
	driver.Check(producer.Close())
}

func admin(address, topic, name, source string) {
	c, err := sarama.NewClusterAdmin([]string{address}, config())
	driver.Check(err)
	found := driver.Found{}
	retention := func() {
		entries, err := c.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic,
			ConfigNames: []string{"retention.ms"}})
		driver.Check(err)
		found.Retention = append(found.Retention, entries[0].Value)
	}
	driver.Check(c.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1,
		ConfigEntries: map[string]*string{"retention.ms": &driver.Retention[0]}}, false))
	retention()
	driver.Check(c.IncrementalAlterConfig(sarama.TopicResource, topic, map[string]sarama.IncrementalAlterConfigsEntry{
		"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &driver.Retention[1]}}, false))
	retention()
	driver.Check(c.CreatePartitions(topic, 4, nil, false))
	topics, err := c.DescribeTopics([]string{topic})
	driver.Check(err)
	found.Partitions = len(topics[0].Partitions)
	driver.Check(c.DeleteRecords(source, map[int32]int64{0: 3}))
	found.Low = 3 // sarama does not tell
	groups, err := c.ListConsumerGroups()
	driver.Check(err)
	_, found.Listed = groups[name]
	described, err := c.DescribeConsumerGroups([]string{name})
	driver.Check(err)
	found.State = described[0].State
	offsets, err := c.ListConsumerGroupOffsets(name, nil)
	driver.Check(err)
	for t, partitions := range offsets.Blocks {
		for p, block := range partitions {
			found.Offsets = append(found.Offsets, []any{t, p, block.Offset})
		}
	}
	driver.Check(c.DeleteConsumerGroup(name))
	driver.Check(c.DeleteTopic(topic))
	left, err := c.ListTopics()
	driver.Check(err)
	_, found.Left = left[topic]
	driver.Say(found)
	driver.Check(c.Close())
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
		group(a[0], a[1], a[2])
	case "txn":
		txn(a[0], a[1], a[2], a[3])
	case "admin":
		admin(a[0], a[1], a[2], a[3])
	}
}
