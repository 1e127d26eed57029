package admin

import (
	"context"
	"errors"

	"carrier/internal/problem"
	"carrier/internal/store"
)

// Pushes lists pushes, newest first.
func (s *Service) Pushes(ctx context.Context, by Actor, q store.Query) (List[PushItem], error) {
	q.Held = s.held
	page, err := s.Store.Pushes(ctx, q)
	if err != nil {
		return List[PushItem]{}, storeProblem(err)
	}
	v := s.view(by)
	return listOf("pushes", page, func(p *store.Push) PushItem { return v.push(p, store.Hold{}) }), nil
}

// PushCounts counts the pushes of an account by status; of all accounts for "".
func (s *Service) PushCounts(deliveryID string) map[store.Status]int64 {
	counts := map[store.Status]int64{}
	for id, of := range s.Store.Stats().Pushes {
		if deliveryID != "" && id != deliveryID {
			continue
		}
		for status, n := range of {
			counts[status] += n
		}
	}
	return counts
}

// Push reads one push with its attempts.
func (s *Service) Push(ctx context.Context, by Actor, seq uint64) (PushDetail, error) {
	p, err := s.Store.Push(ctx, seq)
	if err != nil {
		return PushDetail{}, missingPush(err, seq)
	}
	if p.Status == store.NoPush {
		return PushDetail{}, problem.New(problem.NotFound).Sayf(
			"Event %d has no push: it was not accepted. Its verdict is in /admin/v1/events.",
			"事件 %d 没有推送：它未被接受。其判定见 /admin/v1/events。", seq)
	}
	s.overlay(&p)
	return s.view(by).pushDetail(&p, s.around(ctx, &p)), nil
}

// hold is the freeze that a push waits for.
func (s *Service) hold(ctx context.Context, p *store.Push) store.Hold {
	if !p.Waiting.Frozen {
		return store.Hold{}
	}
	return s.around(ctx, p).Held
}

// around is a push's waybill. It only explains the push: without it that says less.
func (s *Service) around(ctx context.Context, p *store.Push) *store.Waybill {
	w, err := s.Store.Waybill(ctx, p.Event.Waybill())
	if err != nil {
		return &store.Waybill{}
	}
	return &w
}

// Replay makes a push pending again.
func (s *Service) Replay(ctx context.Context, by Actor, seq uint64, force bool, reason string) (PushItem, error) {
	if err := checkReason(reason, false); err != nil {
		return PushItem{}, err
	}
	act := by.act(store.ActReplay, reason)
	if force {
		act.Detail = "force"
	}
	p, err := s.Store.Replay(ctx, seq, force, act)
	if err != nil {
		return PushItem{}, s.pushProblem(ctx, by, seq, err, func(out *problem.Problem, p *PushItem) {
			if s.expunged(ctx, seq) {
				nothingLeft(out, seq)
				return
			}
			cannotReplay(out, p)
		})
	}
	s.acted(by, "push replayed", "seq", seq, "delivery_id", p.Event.DeliveryID, "waybill_id", p.Event.WaybillID, "force", force)
	return s.afterwards(ctx, by, p), nil
}

// Discard ends a push that is pending or failed: it will not be sent.
func (s *Service) Discard(ctx context.Context, by Actor, seq uint64, reason string) (PushItem, error) {
	if err := checkReason(reason, true); err != nil {
		return PushItem{}, err
	}
	p, err := s.Store.Discard(ctx, seq, by.act(store.ActDiscard, reason))
	if err != nil {
		return PushItem{}, s.pushProblem(ctx, by, seq, err, cannotDiscard)
	}
	s.acted(by, "push discarded", "seq", seq, "delivery_id", p.Event.DeliveryID, "waybill_id", p.Event.WaybillID, "reason", reason)
	return s.afterwards(ctx, by, p), nil
}

// Retry lets a push go at once that waits for its next attempt.
func (s *Service) Retry(ctx context.Context, by Actor, seq uint64, reason string) (PushItem, error) {
	if err := checkReason(reason, false); err != nil {
		return PushItem{}, err
	}
	p, err := s.Store.RetryNow(ctx, seq, by.act(store.ActRetry, reason))
	if err != nil {
		return PushItem{}, s.pushProblem(ctx, by, seq, err, cannotRetry)
	}
	s.acted(by, "push retried", "seq", seq, "delivery_id", p.Event.DeliveryID, "waybill_id", p.Event.WaybillID)
	return s.afterwards(ctx, by, p), nil
}

// afterwards is a push as it is after an act. p, as the act left it, stands in if it can't be read again.
func (s *Service) afterwards(ctx context.Context, by Actor, p store.Push) PushItem {
	if now, err := s.Store.Push(ctx, p.Seq); err == nil {
		p = now
	}
	s.overlay(&p)
	return s.view(by).push(&p, s.hold(ctx, &p))
}

// pushProblem makes a problem of what an act on a push met. If the push's status did not allow it, that status is a
// member, and say tells what that means.
func (s *Service) pushProblem(ctx context.Context, by Actor, seq uint64, err error, say func(*problem.Problem, *PushItem)) error {
	if !errors.Is(err, store.ErrState) {
		return missingPush(err, seq)
	}
	p, readErr := s.Store.Push(ctx, seq)
	if readErr != nil {
		return missingPush(readErr, seq)
	}
	s.overlay(&p)
	item := s.view(by).push(&p, store.Hold{})
	out := problem.New(problem.ConflictState).With("seq", seq).With("push_status", p.Status.String()).With("waiting", item.Waiting)
	if p.Status == store.NoPush {
		return out.Sayf("Event %d was not accepted, so there is nothing to push.", "事件 %d 未被接受，没有可推送的内容。", seq)
	}
	item.Seq = seq
	say(out, &item)
	return out
}

func cannotReplay(out *problem.Problem, p *PushItem) {
	if p.Status == store.Delivered {
		out.Sayf(`Push %d is delivered already; sending it again shows the customer the same node twice. If that is what you want, send {"force":true}.`,
			`推送 %d 已送达，再次发送会使用户看到重复的节点。如确需重发，请传 {"force":true}。`, p.Seq)
		return
	}
	out.Sayf("Push %d is %s already; it goes out by itself.", "推送 %d 当前为 %s，会自动发送。", p.Seq, p.Status)
}

func cannotDiscard(out *problem.Problem, p *PushItem) {
	if p.Status == store.Delivered {
		out.Sayf("Push %d is delivered: upstream has it, and nothing can be taken back.", "推送 %d 已送达，上游已收到，无法撤回。", p.Seq)
		return
	}
	out.Sayf("Push %d is %s already; only one that is pending or failed can be discarded.",
		"推送 %d 当前为 %s；只有待推送或失败的推送可以作废。", p.Seq, p.Status)
}

func cannotRetry(out *problem.Problem, p *PushItem) {
	switch {
	case p.Status != store.Pending:
		out.Sayf("Push %d is %s; only a pending one can be retried. To send it again, replay it.",
			"推送 %d 当前为 %s；只有待推送的可以立即重试。如需再次发送，请使用重放。", p.Seq, p.Status)
	case p.Waiting != nil:
		out.Say("A retry would not help, it does not wait for its next attempt. "+p.Waiting.Text.En, "立即重试无济于事，它等待的不是下一次尝试。"+p.Waiting.Text.Zh)
	default:
		out.Sayf("Push %d is on its way; there is nothing to wait for.", "推送 %d 正在发送，无需重试。", p.Seq)
	}
}
