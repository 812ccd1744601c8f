// The three Kafka clients that Go programs use, against one broker: each makes topics, writes with every codec it has,
// shares the reading in a group, and asks what an administrator asks. The last line counts.
//
// Usage: compat HOST:PORT RUN, where RUN makes the names of topics and groups unique.
package main

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"time"
)

// How long one client may take for all that it does.
const limit = 60 * time.Second

// scenario is what one client is asked to do.
type scenario struct {
	context context.Context
	client  string
	broker  string
	topic   string
	group   string
}

// stop ends a scenario at the first step that it can't do without.
type stop struct{}

var passed, failed int

// same counts one check: whether what was found is what was expected.
func (s *scenario) same(name string, expected, found any) {
	if reflect.DeepEqual(expected, found) {
		passed++
		fmt.Printf("ok      %s: %s\n", s.client, name)
	} else {
		failed++
		fmt.Printf("FAILED  %s: %s\n  expected: %v\n  found:    %v\n", s.client, name, expected, found)
	}
}

// need counts a failure and ends the scenario if there is an error.
func (s *scenario) need(step string, err error) {
	if err != nil {
		s.same(step, nil, err.Error())
		panic(stop{})
	}
}

// message is an error's text, empty without one.
func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// value is the n-th record's value.
func value(n int) string { return fmt.Sprintf("value %d", n) }

// onceEach says how often each of count values has been seen, if that is not once.
func onceEach(seen map[string]int, count int) string {
	for n := range count {
		if times := seen[value(n)]; times != 1 {
			return fmt.Sprintf("%q was read %d times, %d different ones of %d", value(n), times, len(seen), count)
		}
	}
	return fmt.Sprintf("%d records, each once", count)
}

func main() {
	if len(os.Args) != 3 {
		fmt.Println("usage: compat HOST:PORT RUN")
		os.Exit(2)
	}
	clients := []struct {
		name string
		play func(*scenario)
	}{{"franz-go", franzGo}, {"sarama", saramaNow}, {"sarama as of Kafka 1.0", saramaOld}, {"kafka-go", kafkaGo}}
	for n, client := range clients {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		s := &scenario{
			context: ctx,
			client:  client.name,
			broker:  os.Args[1],
			topic:   fmt.Sprintf("go-%d-%s", n, os.Args[2]),
			group:   fmt.Sprintf("go-%d-%s", n, os.Args[2]),
		}
		func() {
			defer func() {
				if reason := recover(); reason != nil && reason != (stop{}) {
					panic(reason)
				}
			}()
			client.play(s)
		}()
		cancel()
	}
	fmt.Printf("%d passed, %d failed, 0 skipped\n", passed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}
