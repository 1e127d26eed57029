package ingest

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"carrier/internal/problem"
	"carrier/internal/store"
)

// trouble tells senders of a store that does not take events, and the log when that begins, changes and ends.
type trouble struct {
	log  *slog.Logger
	last atomic.Pointer[string] // The kind of the latest error; nil while all is well.
}

// unavailable are the kinds of store.ErrUnavailable that senders are told of, and when to come again.
var unavailable = []struct {
	err    error
	reason string
	after  time.Duration
	text   problem.Text
}{
	{store.ErrDiskLow, "disk_low", 30 * time.Second, problem.Text{
		En: "The disk of this service is nearly full. Nothing was kept; send it again, with the same id, after the seconds in Retry-After. Its operator must make room.",
		Zh: "本服务的磁盘空间不足，未保存任何内容。请在 Retry-After 指定的秒数之后以相同的 id 重新发送；运维人员需清理磁盘。"}},
	{store.ErrClosing, "stopping", 5 * time.Second, problem.Text{
		En: "This service is stopping or restarting. Nothing was kept; send it again, with the same id, after the seconds in Retry-After.",
		Zh: "本服务正在停止或重启，未保存任何内容。请在 Retry-After 指定的秒数之后以相同的 id 重新发送。"}},
	{store.ErrUnavailable, "unavailable", 2 * time.Second, problem.Text{
		En: "The store can't take writes at present. Nothing was kept; send it again, with the same id, after the seconds in Retry-After.",
		Zh: "存储暂时无法写入，未保存任何内容。请在 Retry-After 指定的秒数之后以相同的 id 重新发送。"}},
}

// problem is what a sender hears of err.
func (t *trouble) problem(err error) *problem.Problem {
	for _, kind := range unavailable {
		if errors.Is(err, kind.err) {
			t.begin(kind.reason, err)
			return problem.New(problem.StoreUnavailable).Say(kind.text.En, kind.text.Zh).
				With("reason", kind.reason).After(kind.after).Because(err)
		}
	}
	t.begin("unknown", err)
	return problem.New(problem.OutcomeUnknown).After(time.Second).Because(err)
}

func (t *trouble) begin(reason string, err error) {
	if old := t.last.Swap(&reason); old == nil || *old != reason {
		t.log.Error("the store does not take events", "reason", reason, "err", err)
	}
}

// over is called whenever the store has taken events.
func (t *trouble) over() {
	if t.last.Load() == nil {
		return
	}
	if old := t.last.Swap(nil); old != nil {
		t.log.Info("the store takes events again", "was", *old)
	}
}

// miscounted is the error for a store that breaks its promise of one result for each event.
func miscounted(events, results int) error {
	return fmt.Errorf("the store gave %d results for %d events", results, events)
}
