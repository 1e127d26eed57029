package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"

	"carrier/internal/adminclient"
)

const (
	followEvery = 500 * time.Millisecond
	// followPatience is how long a service that does not answer is waited for: a restart, which the job survives.
	followPatience = 2 * time.Minute
)

type replayAnswer = adminclient.Answer[adminclient.Replay]

// follow watches a replay until it ends, and shows how far it is. It is an error if any of its pushes was not
// delivered. When ctx ends only the watching does.
func (s *session) follow(ctx context.Context, a replayAnswer) error {
	shown := s.watching(&a.Value)
	a, err := watch(ctx, a, s.Replay, shown)
	shown.clear()
	switch {
	case ctx.Err() != nil:
		return said{s.sayf("stopped following; replay %[1]s goes on: carrier replays follow %[1]s follows it again, carrier replays cancel %[1]s ends it",
			"已停止查看；重放 %[1]s 仍在进行：carrier replays follow %[1]s 继续查看，carrier replays cancel %[1]s 将其取消", visible(a.Value.ID)), err}
	case notFound(err):
		return s.explain(ctx, err)
	case err != nil:
		return said{s.advise(s.explain(ctx, err).Error(), s.sayf("replay %[1]s may go on all the same: carrier replays follow %[1]s follows it again",
			"重放 %[1]s 可能仍在进行：carrier replays follow %[1]s 继续查看", visible(a.Value.ID))), err}
	}
	return errors.Join(show(s, a, s.ending), s.outcome(&a.Value))
}

// notFound tells whether the service does not have what was asked for.
func notFound(err error) bool {
	refusal, ok := errors.AsType[*adminclient.Refusal](err)
	return ok && refusal.Status == http.StatusNotFound
}

// watch asks for a replay again and again until it ends, ctx does, or the service has not answered for
// followPatience. It returns the latest that is known.
func watch(ctx context.Context, a replayAnswer, ask func(context.Context, string) (replayAnswer, error), shown watching) (replayAnswer, error) {
	heard := time.Now()
	shown.show(&a.Value)
	for !a.Value.Ended() {
		select {
		case <-ctx.Done():
			return a, context.Cause(ctx)
		case <-time.After(followEvery):
		}
		next, err := ask(ctx, a.Value.ID)
		switch {
		case err == nil:
			a, heard = next, time.Now()
			shown.show(&a.Value)
		case ctx.Err() != nil || !passing(err) || time.Since(heard) > followPatience:
			return a, err
		default:
			shown.trouble(err)
		}
	}
	return a, nil
}

// passing tells whether a service that restarts, or has much to do, may answer in this way.
func passing(err error) bool {
	if refusal, ok := errors.AsType[*adminclient.Refusal](err); ok {
		return refusal.Temporary()
	}
	_, ok := errors.AsType[*adminclient.Unreachable](err)
	return ok
}

// ending says how a replay ended.
func (s *screen) ending(r *adminclient.Replay) error {
	if r.Matched == 0 && r.Status == "done" {
		return s.line(s.sayf("replay %s: no push matches; nothing was sent", "重放 %s：没有符合条件的推送，未发送任何内容", r.ID))
	}
	text := s.sayf("replay %s is %s: %d of %d {4:push|pushes} delivered", "重放 %s %s：共 %[4]d 个推送，已送达 %[3]d 个", r.ID, s.word(replayWords, r.Status), r.Delivered, r.Matched)
	for _, part := range []struct {
		n      int64
		en, zh string
	}{
		{r.Failed, ", %d failed", "，失败 %d 个"},
		{r.Discarded, ", %d discarded", "，作废 %d 个"},
		{r.Skipped, ", %d left as they were", "，未处理 %d 个"},
		{r.Open, ", %d on their way still", "，仍在推送 %d 个"},
	} {
		if part.n > 0 {
			text += s.sayf(part.en, part.zh, part.n)
		}
	}
	if r.EndedAt != nil {
		text += s.sayf(", in %s", "，用时 %s", s.seconds(r.EndedAt.Sub(r.CreatedAt).Seconds()))
	}
	return s.line(text)
}

// outcome is nil if all that a replay sent was delivered.
func (s *screen) outcome(r *adminclient.Replay) error {
	switch lost := r.Failed + r.Discarded; {
	case r.Status == "cancelled":
		return errors.New(s.sayf("replay %s was cancelled", "重放 %s 已被取消", visible(r.ID)))
	case lost > 0:
		return errors.New(s.sayf("not delivered: %d; carrier pushes list --status failed shows why", "%d 个推送未送达；carrier pushes list --status failed 可查看原因", lost))
	}
	return nil
}

// watching is how the state of a replay is shown while it runs.
type watching interface {
	show(r *adminclient.Replay)
	trouble(err error) // The service does not answer just now.
	clear()
}

// watching is a bar on a terminal, else a line whenever it begins to wait for something else.
func (s *session) watching(r *adminclient.Replay) watching {
	notes := &followNotes{s: s.screen, w: s.world.stderr}
	if f, ok := s.world.stderr.(*os.File); ok && isTerminal(f) {
		return newFollowBar(notes, r)
	}
	return notes
}

// followNotes writes what a replay waits for, once for each change.
type followNotes struct {
	s    *screen
	w    io.Writer
	last string
}

func (n *followNotes) show(r *adminclient.Replay) { n.fresh(n.s.holdUp(r)) }

func (n *followNotes) trouble(err error) {
	n.fresh(n.s.retrying(err))
}

func (n *followNotes) clear() {}

func (n *followNotes) fresh(text string) {
	if text == n.last {
		return
	}
	if n.last = text; text != "" {
		fmt.Fprintln(n.w, "carrier:", visible(text))
	}
}

// retrying says that err is waited out.
func (s *screen) retrying(err error) string {
	return s.advise(err.Error(), s.say("trying again", "正在重试"))
}

// holdUp says why a replay does not go on just now; empty if it does.
func (s *screen) holdUp(r *adminclient.Replay) string {
	if r.Status == "paused" {
		return s.sayf("replay %[1]s is paused; carrier replays resume %[1]s lets it go on", "重放 %[1]s 已暂停；carrier replays resume %[1]s 使其继续", r.ID)
	}
	text := ""
	for _, w := range r.Waiting {
		if text != "" {
			text += s.say("; ", "；")
		}
		text += s.join(w.DeliveryID, s.in(w.Text))
	}
	return text
}

// followBar shows a bar, and the notes above it.
type followBar struct {
	notes *followNotes
	bar   *progressbar.ProgressBar
	max   int64
}

func newFollowBar(notes *followNotes, r *adminclient.Replay) *followBar {
	most := max(1, r.Matched)
	return &followBar{notes: notes, max: most, bar: progressbar.NewOptions64(most,
		progressbar.OptionSetWriter(notes.w),
		progressbar.OptionSetDescription(notes.s.sayf("replay %s", "重放 %s", visible(r.ID))),
		progressbar.OptionSetWidth(30),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionClearOnFinish(),
	)}
}

func (b *followBar) show(r *adminclient.Replay) { b.draw(r, b.notes.s.holdUp(r)) }

func (b *followBar) trouble(err error) {
	b.above(b.notes.s.retrying(err))
}

func (b *followBar) clear() { _ = b.bar.Clear() }

// draw moves the bar on. A terminal that can't be written to is no reason to stop.
func (b *followBar) draw(r *adminclient.Replay, holdUp string) {
	if holdUp != b.notes.last {
		b.above(holdUp)
	}
	// Rows that came to match while it was counted.
	if most := max(1, r.Matched, r.Requeued+r.Skipped); most != b.max {
		b.max = most
		b.bar.ChangeMax64(most)
	}
	text := b.notes.s.sayf("replay %s: %d delivered", "重放 %s：已送达 %d", visible(r.ID), r.Delivered)
	if lost := r.Failed + r.Discarded; lost > 0 {
		text += b.notes.s.sayf(", %d not", "，未送达 %d", lost)
	}
	b.bar.Describe(text)
	_ = b.bar.Set64(min(b.max, r.Delivered+r.Failed+r.Discarded+r.Skipped))
}

// above writes a note on a line of its own: one that wraps could not be drawn over.
func (b *followBar) above(text string) {
	b.clear()
	b.notes.fresh(text)
}
