package bus

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"carrier/internal/problem"
)

// field is one setting of a stream or consumer that is compared.
type field[C any] struct {
	name string
	show func(*C) string
	// same tells whether found is as good as wanted; nil: if both show alike.
	same func(found, want *C) bool
	// harm tells whether it does not work, or loses messages, so; nil: never. It is asked if they are not the same.
	harm func(found *C) bool
	// set takes the wanted value over; nil: the server allows no change.
	set func(found, want *C)
	how problem.Text // What it means, and what to do.
}

func always[C any](*C) bool { return true }

// streamFields are compared of both streams.
var streamFields = []field[jetstream.StreamConfig]{
	{
		name: "subjects",
		show: func(c *jetstream.StreamConfig) string { return list(c.Subjects) },
		same: func(found, want *jetstream.StreamConfig) bool {
			return allCovered(found.Subjects, want.Subjects) && !anyOverlaps(found.Subjects, requestSubjects)
		},
		harm: always[jetstream.StreamConfig],
		set:  func(found, want *jetstream.StreamConfig) { found.Subjects = want.Subjects },
		how: problem.Text{
			En: "messages on other subjects are not kept; and a stream must not take carrier's requests, which it would answer itself",
			Zh: "其他主题上的消息不会被保存；流也不能包含 carrier 的请求主题，否则会由流自己应答",
		},
	},
	{
		name: "sealed",
		show: func(c *jetstream.StreamConfig) string { return fmt.Sprint(c.Sealed) },
		harm: always[jetstream.StreamConfig],
		how: problem.Text{
			En: "a sealed stream takes no messages and lets none go; delete it when nothing in it is needed, and carrier makes it anew",
			Zh: "已封存的流不再接收也不再删除消息；其中内容不再需要时请删除，carrier 会重新创建",
		},
	},
	{
		name: "mirror",
		show: func(c *jetstream.StreamConfig) string {
			if c.Mirror == nil {
				return "none"
			}
			return c.Mirror.Name
		},
		harm: always[jetstream.StreamConfig],
		set:  func(found, _ *jetstream.StreamConfig) { found.Mirror = nil },
		how: problem.Text{
			En: "a mirror takes no messages of its own",
			Zh: "镜像流自身不接收消息",
		},
	},
	{
		name: "retention",
		show: func(c *jetstream.StreamConfig) string { return c.Retention.String() },
		how: problem.Text{
			En: "it works, but messages stay, or go, by another rule; a stream can't be changed so: delete it when it is empty, and carrier makes it anew",
			Zh: "可以工作，但消息按另一种规则保留或删除；现有的流不能这样修改：请在其为空时删除，carrier 会重新创建",
		},
	},
	{
		name: "storage",
		show: func(c *jetstream.StreamConfig) string { return c.Storage.String() },
		how: problem.Text{
			En: "what is in memory is gone when the server restarts; a stream can't be changed so: delete it when it is empty, and carrier makes it anew",
			Zh: "内存中的消息在服务器重启后丢失；现有的流不能这样修改：请在其为空时删除，carrier 会重新创建",
		},
	},
	{
		name: "replicas",
		show: func(c *jetstream.StreamConfig) string { return fmt.Sprint(c.Replicas) },
		same: func(found, want *jetstream.StreamConfig) bool { return found.Replicas >= want.Replicas },
		set:  func(found, want *jetstream.StreamConfig) { found.Replicas = want.Replicas },
		how: problem.Text{
			En: "fewer servers than nats.replicas keep it",
			Zh: "保存它的服务器少于 nats.replicas",
		},
	},
	{
		name: "no_ack",
		show: func(c *jetstream.StreamConfig) string { return fmt.Sprint(c.NoAck) },
		harm: func(c *jetstream.StreamConfig) bool { return c.Name == outcomesStream }, // We are its publisher.
		set:  func(found, want *jetstream.StreamConfig) { found.NoAck = want.NoAck },
		how: problem.Text{
			En: "publishers hear nothing, so they can't know that a message was kept; outcomes stop at the first one",
			Zh: "发布方得不到确认，无从得知消息是否已保存；结果通知会停在第一条",
		},
	},
	limited("max_age", func(c *jetstream.StreamConfig) *time.Duration { return &c.MaxAge },
		problem.Text{En: "older messages are dropped, whether they were taken or not", Zh: "超过此时长的消息会被丢弃，不论是否已被取走"}),
	limited("max_msgs", func(c *jetstream.StreamConfig) *int64 { return &c.MaxMsgs },
		problem.Text{En: "more messages than that are dropped or refused, by its discard policy", Zh: "超出此数量的消息按其 discard 策略被丢弃或拒绝"}),
	limited("max_bytes", func(c *jetstream.StreamConfig) *int64 { return &c.MaxBytes },
		problem.Text{En: "more than that is dropped or refused, by its discard policy", Zh: "超出此大小的部分按其 discard 策略被丢弃或拒绝"}),
	limited("max_msgs_per_subject", func(c *jetstream.StreamConfig) *int64 { return &c.MaxMsgsPerSubject },
		problem.Text{En: "more messages of one source or status than that are dropped or refused, by its discard policy", Zh: "同一来源或状态超出此数量的消息按其 discard 策略被丢弃或拒绝"}),
	limited("max_msg_size", func(c *jetstream.StreamConfig) *int32 { return &c.MaxMsgSize },
		problem.Text{En: "larger messages are refused", Zh: "更大的消息会被拒绝"}),
	{
		name: "duplicate_window",
		show: func(c *jetstream.StreamConfig) string { return c.Duplicates.String() },
		set:  func(found, want *jetstream.StreamConfig) { found.Duplicates = want.Duplicates },
		how: problem.Text{
			En: "how long a repeated Nats-Msg-Id is noticed by the server; carrier itself notices it at any time",
			Zh: "服务器在此时长内识别重复的 Nats-Msg-Id；carrier 自身任何时候都能识别",
		},
	},
}

// consumerFields are compared of the consumer.
var consumerFields = []field[jetstream.ConsumerConfig]{
	{
		name: "deliver_subject",
		show: func(c *jetstream.ConsumerConfig) string { return none(c.DeliverSubject) },
		harm: always[jetstream.ConsumerConfig],
		how: problem.Textf("carrier needs a pull consumer: delete it (nats consumer rm %s %s), and carrier makes it anew",
			"carrier 需要拉取消费者：请删除（nats consumer rm %s %s），carrier 会重新创建", eventsStream, eventsConsumer),
	},
	{
		name: "ack_policy",
		show: func(c *jetstream.ConsumerConfig) string { return c.AckPolicy.String() },
		harm: always[jetstream.ConsumerConfig],
		how: problem.Textf("events that the store did not take would be lost: delete it (nats consumer rm %s %s), and carrier makes it anew",
			"存储未能接收的事件会丢失：请删除（nats consumer rm %s %s），carrier 会重新创建", eventsStream, eventsConsumer),
	},
	{
		name: "filter_subjects",
		show: func(c *jetstream.ConsumerConfig) string { return list(filters(c)) },
		same: func(found, want *jetstream.ConsumerConfig) bool {
			return len(filters(found)) == 0 || allCovered(filters(found), filters(want))
		},
		harm: always[jetstream.ConsumerConfig],
		set: func(found, want *jetstream.ConsumerConfig) {
			found.FilterSubject, found.FilterSubjects = want.FilterSubject, want.FilterSubjects
		},
		how: problem.Text{
			En: "events on other subjects stay in the stream and are never taken",
			Zh: "其他主题上的事件留在流中，永远不会被取走",
		},
	},
	{
		name: "headers_only",
		show: func(c *jetstream.ConsumerConfig) string { return fmt.Sprint(c.HeadersOnly) },
		harm: always[jetstream.ConsumerConfig],
		set:  func(found, want *jetstream.ConsumerConfig) { found.HeadersOnly = want.HeadersOnly },
		how: problem.Text{
			En: "events come without their bodies",
			Zh: "收到的事件没有内容",
		},
	},
	{
		name: "priority_groups",
		show: func(c *jetstream.ConsumerConfig) string { return list(c.PriorityGroups) },
		harm: always[jetstream.ConsumerConfig],
		set: func(found, _ *jetstream.ConsumerConfig) {
			found.PriorityGroups, found.PriorityPolicy, found.PinnedTTL = nil, jetstream.PriorityPolicyNone, 0
		},
		how: problem.Text{
			En: "carrier belongs to no priority group, so it gets no events",
			Zh: "carrier 不属于任何优先级组，因此收不到事件",
		},
	},
	{
		name: "deliver_policy",
		show: func(c *jetstream.ConsumerConfig) string { return c.DeliverPolicy.String() },
		how: problem.Text{
			En: "older events may have been left out when it was made; it can't be changed: delete it, and carrier makes it anew",
			Zh: "创建时可能跳过了较早的事件；不能修改：请删除，carrier 会重新创建",
		},
	},
	{
		name: "ack_wait",
		show: func(c *jetstream.ConsumerConfig) string { return c.AckWait.String() },
		set:  func(found, want *jetstream.ConsumerConfig) { found.AckWait = want.AckWait },
		how: problem.Text{
			En: "how long until an event comes again that was not answered; carrier fetches the less ahead, the shorter it is",
			Zh: "未确认的事件多久之后重新投递；越短，carrier 预取得越少",
		},
	},
	{
		name: "backoff",
		show: func(c *jetstream.ConsumerConfig) string { return list(durations(c.BackOff)) },
		set:  func(found, _ *jetstream.ConsumerConfig) { found.BackOff = nil },
		how: problem.Text{
			En: "it overrides ack_wait",
			Zh: "它会取代 ack_wait",
		},
	},
	limited("max_deliver", func(c *jetstream.ConsumerConfig) *int { return &c.MaxDeliver },
		problem.Text{En: "an event that was given back so often, in an outage of the store, stays in the stream and is never taken", Zh: "存储故障期间退回达到此次数的事件会留在流中，永远不会被取走"}),
	limited("max_ack_pending", func(c *jetstream.ConsumerConfig) *int { return &c.MaxAckPending },
		problem.Text{En: "how many events all nodes together may hold unanswered", Zh: "所有节点合计可持有的未确认事件数"}),
	limited("max_batch", func(c *jetstream.ConsumerConfig) *int { return &c.MaxRequestBatch },
		problem.Text{En: "carrier fetches no more at a time", Zh: "carrier 每次最多取这么多"}),
	limited("max_expires", func(c *jetstream.ConsumerConfig) *time.Duration { return &c.MaxRequestExpires },
		problem.Text{En: "carrier asks the more often", Zh: "carrier 会更频繁地请求"}),
	limited("max_bytes", func(c *jetstream.ConsumerConfig) *int { return &c.MaxRequestMaxBytes },
		problem.Text{En: "carrier fetches no more at a time; a larger message would never come", Zh: "carrier 每次最多取这么多；更大的消息永远取不到"}),
	{
		name: "replay_policy",
		show: func(c *jetstream.ConsumerConfig) string { return c.ReplayPolicy.String() },
		how: problem.Text{
			En: "a backlog comes no faster than it arrived; it can't be changed: delete the consumer, and carrier makes it anew",
			Zh: "积压的事件只按到达时的速度投递；不能修改：请删除该消费者，carrier 会重新创建",
		},
	},
	{
		name: "mem_storage",
		show: func(c *jetstream.ConsumerConfig) string { return fmt.Sprint(c.MemoryStorage) },
		how: problem.Text{
			En: "when the server restarts, events come again; it can't be changed: delete the consumer, and carrier makes it anew",
			Zh: "服务器重启后事件会重新投递；不能修改：请删除该消费者，carrier 会重新创建",
		},
	},
	limited("inactive_threshold", func(c *jetstream.ConsumerConfig) *time.Duration { return &c.InactiveThreshold },
		problem.Text{En: "the server deletes it when no node has asked for so long; carrier makes it anew", Zh: "若在此时长内没有节点请求，服务器会将其删除；carrier 会重新创建"}),
}

// filters are a consumer's filter subjects, however they are given; none: all.
func filters(c *jetstream.ConsumerConfig) []string {
	if c.FilterSubject != "" {
		return []string{c.FilterSubject}
	}
	return c.FilterSubjects
}

func list(words []string) string {
	return none(strings.Join(slices.Sorted(slices.Values(words)), ", "))
}

func none(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// limited is a limit that the server allows to be changed; 0 and below are none.
func limited[C any, N int | int32 | int64 | time.Duration](name string, of func(*C) *N, how problem.Text) field[C] {
	return field[C]{
		name: name,
		show: func(c *C) string {
			if *of(c) <= 0 {
				return "none"
			}
			return fmt.Sprint(*of(c))
		},
		set: func(found, want *C) { *of(found) = *of(want) },
		how: how,
	}
}

func durations(ds []time.Duration) []string {
	words := make([]string, len(ds))
	for i, d := range ds {
		words[i] = d.String()
	}
	return words
}
