package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// franzGo: an idempotent producer with five codecs, two cooperative members, and kadm.
func franzGo(s *scenario) {
	const each = 200
	codecs := []kgo.CompressionCodec{
		kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(),
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(s.broker))
	s.need("connect", err)
	defer client.Close()
	admin := kadm.NewClient(client)

	settings := map[string]*string{"retention.ms": kadm.StringPtr("86400000")}
	made, err := admin.CreateTopic(s.context, 6, 1, settings, s.topic)
	s.need("create the topic", err)
	s.same("the new topic's partitions and settings are answered", []any{int32(6), "86400000"},
		[]any{made.NumPartitions, *made.Configs["retention.ms"].Value})

	seen := map[string]int{}
	members := []*kgo.Client{s.franzMember(), s.franzMember()}
	for s.context.Err() == nil && !s.franzShared(admin, 3) {
		for _, member := range members {
			s.franzRead(member, seen)
		}
	}
	s.same("two cooperative members have three partitions each", true, s.franzShared(admin, 3))

	for n, codec := range codecs {
		producer, err := kgo.NewClient(kgo.SeedBrokers(s.broker), kgo.ProducerBatchCompression(codec))
		s.need("connect to produce", err)
		records := make([]*kgo.Record, each)
		for i := range records {
			records[i] = &kgo.Record{
				Topic: s.topic, Key: []byte(strconv.Itoa(i)), Value: []byte(value(n*each + i)),
				Headers: []kgo.RecordHeader{{Key: "codec", Value: []byte(strconv.Itoa(n))}},
			}
		}
		s.need("produce", producer.ProduceSync(s.context, records...).FirstErr())
		producer.Close()
	}
	for len(seen) < len(codecs)*each && s.context.Err() == nil {
		for _, member := range members {
			s.franzRead(member, seen)
		}
	}
	s.same("they read all codecs", "1000 records, each once", onceEach(seen, len(codecs)*each))
	for _, member := range members {
		s.need("commit", member.CommitUncommittedOffsets(s.context))
	}
	lags, err := admin.Lag(s.context, s.group)
	s.need("ask for the lag", err)
	s.same("nothing is left to read", int64(0), lags[s.group].Lag.Total())
	for _, member := range members {
		member.Close()
	}

	late := &kgo.Record{Topic: s.topic, Value: []byte("late")}
	s.need("produce one more", client.ProduceSync(s.context, late).FirstErr())
	member, after := s.franzMember(), map[string]int{}
	for len(after) == 0 && s.context.Err() == nil {
		s.franzRead(member, after)
	}
	s.same("who comes later goes on where they stopped", map[string]int{"late": 1}, after)
	_, err = admin.DeleteGroup(s.context, s.group)
	s.same("a group with a member is not deleted", "NON_EMPTY_GROUP: The group is not empty.", message(err))
	member.Close()
	_, err = admin.DeleteGroup(s.context, s.group)
	s.same("an empty one is", "", message(err))
	_, err = admin.DeleteTopic(s.context, s.topic)
	s.same("and so is the topic", "", message(err))
}

func (s *scenario) franzMember() *kgo.Client {
	member, err := kgo.NewClient(kgo.SeedBrokers(s.broker), kgo.ConsumerGroup(s.group), kgo.ConsumeTopics(s.topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
	s.need("join", err)
	return member
}

// franzShared: whether the group is stable and each of its two members has so many partitions.
func (s *scenario) franzShared(admin *kadm.Client, partitions int) bool {
	groups, err := admin.DescribeGroups(s.context, s.group)
	s.need("describe the group", err)
	group := groups[s.group]
	for _, member := range group.Members {
		assigned, ok := member.Assigned.AsConsumer()
		if !ok || len(assigned.Topics) != 1 || len(assigned.Topics[0].Partitions) != partitions {
			return false
		}
	}
	return group.State == "Stable" && group.Protocol == "cooperative-sticky" && len(group.Members) == 2
}

func (s *scenario) franzRead(member *kgo.Client, seen map[string]int) {
	briefly, cancel := context.WithTimeout(s.context, 100*time.Millisecond)
	defer cancel()
	fetches := member.PollFetches(briefly)
	fetches.EachError(func(_ string, _ int32, err error) {
		if !errors.Is(err, context.DeadlineExceeded) {
			s.need("fetch", err)
		}
	})
	fetches.EachRecord(func(record *kgo.Record) { seen[string(record.Value)]++ })
}
