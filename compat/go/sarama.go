package main

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// saramaNow: the newest requests that it knows, idempotent.
func saramaNow(s *scenario) { s.sarama(sarama.MaxVersion, sarama.CompressionZSTD) }

// saramaOld: the requests of 2017, which programs that never set Version still send.
func saramaOld(s *scenario) { s.sarama(sarama.V1_0_0_0, sarama.CompressionLZ4) }

func (s *scenario) sarama(version sarama.KafkaVersion, codec sarama.CompressionCodec) {
	const count = 300
	config := sarama.NewConfig()
	config.Version = version
	config.Producer.Return.Successes = true
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Compression = codec
	config.Net.MaxOpenRequests = 1
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	brokers := []string{s.broker}

	admin, err := sarama.NewClusterAdmin(brokers, config)
	s.need("connect", err)
	defer admin.Close()
	detail := &sarama.TopicDetail{NumPartitions: 4, ReplicationFactor: 1}
	s.need("create the topic", admin.CreateTopic(s.topic, detail, false))
	s.same("a topic that is there already is refused", true, admin.CreateTopic(s.topic, detail, false) != nil)

	seen := &readings{values: map[string]int{}, claims: map[int]int{}}
	first := s.saramaMember(config, 1, seen)
	second := s.saramaMember(config, 2, seen)
	s.wait(func() bool { return seen.claimed(1) == 2 && seen.claimed(2) == 2 })
	s.same("two members have two partitions each", []int{2, 2}, []int{seen.claimed(1), seen.claimed(2)})

	producer, err := sarama.NewSyncProducer(brokers, config)
	s.need("connect to produce", err)
	messages := make([]*sarama.ProducerMessage, count)
	for n := range messages {
		messages[n] = &sarama.ProducerMessage{
			Topic: s.topic, Key: sarama.StringEncoder(strconv.Itoa(n)), Value: sarama.StringEncoder(value(n)),
			Headers: []sarama.RecordHeader{{Key: []byte("n"), Value: []byte(strconv.Itoa(n))}},
		}
	}
	s.need("produce", producer.SendMessages(messages))
	s.need("close the producer", producer.Close())
	s.wait(func() bool { return seen.count() >= count })
	s.same("they read all", "300 records, each once", seen.onceEach(count))

	groups, err := admin.DescribeConsumerGroups([]string{s.group})
	s.need("describe the group", err)
	s.same("the group is stable", []any{"Stable", "range", 2},
		[]any{groups[0].State, groups[0].Protocol, len(groups[0].Members)})
	first()
	second()
	offsets, err := admin.ListConsumerGroupOffsets(s.group, map[string][]int32{s.topic: {0, 1, 2, 3}})
	s.need("list the offsets", err)
	var committed int64
	for _, block := range offsets.Blocks[s.topic] {
		committed += block.Offset
	}
	s.same("leaving committed what was read", int64(count), committed)
	if version.IsAtLeast(sarama.V1_1_0_0) {
		s.same("an empty group is deleted", "", message(admin.DeleteConsumerGroup(s.group)))
	}
	s.same("the topic is deleted", "", message(admin.DeleteTopic(s.topic)))
}

// saramaMember joins and reads until it is told to leave, which commits.
func (s *scenario) saramaMember(config *sarama.Config, number int, seen *readings) (leave func()) {
	group, err := sarama.NewConsumerGroup([]string{s.broker}, s.group, config)
	s.need("join", err)
	reading, cancel := context.WithCancel(s.context)
	var done sync.WaitGroup
	done.Go(func() {
		for reading.Err() == nil {
			if err := group.Consume(reading, []string{s.topic}, &handler{number, seen}); err != nil {
				time.Sleep(50 * time.Millisecond)
			}
		}
	})
	return func() {
		cancel()
		done.Wait()
		s.need("leave", group.Close())
	}
}

func (s *scenario) wait(until func() bool) {
	for s.context.Err() == nil && !until() {
		time.Sleep(20 * time.Millisecond)
	}
}

// readings is what all members have read and which partitions they hold.
type readings struct {
	sync.Mutex
	values map[string]int
	claims map[int]int
}

func (r *readings) claimed(member int) int {
	r.Lock()
	defer r.Unlock()
	return r.claims[member]
}

func (r *readings) count() int {
	r.Lock()
	defer r.Unlock()
	return len(r.values)
}

func (r *readings) onceEach(count int) string {
	r.Lock()
	defer r.Unlock()
	return onceEach(r.values, count)
}

type handler struct {
	number int
	seen   *readings
}

func (h *handler) Setup(session sarama.ConsumerGroupSession) error {
	h.seen.Lock()
	defer h.seen.Unlock()
	h.seen.claims[h.number] = 0
	for _, partitions := range session.Claims() {
		h.seen.claims[h.number] += len(partitions)
	}
	return nil
}

func (h *handler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (h *handler) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		h.seen.Lock()
		h.seen.values[string(message.Value)]++
		h.seen.Unlock()
		session.MarkMessage(message, "")
	}
	return nil
}
