package main

import (
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
)

// kafkaGo: segmentio's client, which is not idempotent and lags behind in versions.
func kafkaGo(s *scenario) {
	const each = 100
	codecs := []kafka.Compression{0, kafka.Gzip, kafka.Snappy, kafka.Lz4, kafka.Zstd}
	connection, err := kafka.DialContext(s.context, "tcp", s.broker)
	s.need("connect", err)
	defer connection.Close()
	s.need("create the topic",
		connection.CreateTopics(kafka.TopicConfig{Topic: s.topic, NumPartitions: 3, ReplicationFactor: 1}))
	partitions, err := connection.ReadPartitions(s.topic)
	s.need("read the metadata", err)
	s.same("the topic has its partitions", 3, len(partitions))

	for n, codec := range codecs {
		writer := &kafka.Writer{
			Addr: kafka.TCP(s.broker), Topic: s.topic, RequiredAcks: kafka.RequireAll, Compression: codec,
			BatchTimeout: 5 * time.Millisecond,
		}
		messages := make([]kafka.Message, each)
		for i := range messages {
			messages[i] = kafka.Message{Key: []byte(strconv.Itoa(i)), Value: []byte(value(n*each + i))}
		}
		s.need("produce", writer.WriteMessages(s.context, messages...))
		s.need("close the writer", writer.Close())
	}

	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{s.broker}, GroupID: s.group, Topic: s.topic, MaxWait: 100 * time.Millisecond,
	})
	seen := map[string]int{}
	for range len(codecs) * each {
		message, err := reader.ReadMessage(s.context)
		s.need("read", err)
		seen[string(message.Value)]++
	}
	s.same("a group of one reads all codecs", "500 records, each once", onceEach(seen, len(codecs)*each))
	s.need("leave", reader.Close())

	client := &kafka.Client{Addr: kafka.TCP(s.broker)}
	asked := map[string][]int{s.topic: {0, 1, 2}}
	offsets, err := client.OffsetFetch(s.context, &kafka.OffsetFetchRequest{GroupID: s.group, Topics: asked})
	s.need("fetch the offsets", err)
	var committed int64
	for _, partition := range offsets.Topics[s.topic] {
		committed += partition.CommittedOffset
	}
	s.same("each reading was committed", int64(len(codecs)*each), committed)
	s.same("the topic is deleted", "", message(connection.DeleteTopics(s.topic)))
}
