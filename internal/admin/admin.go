// Package admin is what operators do and see: lists of pushes and events, a waybill's story, accounts, Tokens,
// replays and pauses. The admin API, and what comes beside it, share it; it knows no HTTP.
//
// Nothing here returns a Token, a secret or an access_token. Phone numbers are masked for those who only read.
package admin

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"carrier/internal/pathpush"
	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
)

// Store is what the operations need of the store (see store.Store).
type Store interface {
	Push(ctx context.Context, seq uint64) (store.Push, error)
	Pushes(ctx context.Context, q store.Query) (store.Page[store.Push], error)
	Events(ctx context.Context, q store.Query) (store.Page[store.Event], error)
	Waybill(ctx context.Context, w state.Waybill) (store.Waybill, error)
	PutToken(ctx context.Context, w state.Waybill, token string, act store.Act) (bool, error)
	Replay(ctx context.Context, seq uint64, force bool, act store.Act) (store.Push, error)
	Stats() store.Stats
	Backup(ctx context.Context, dir string) error
}

// Pusher is what they need of pushing (see pathpush.Pusher).
type Pusher interface {
	Held(deliveryID string) store.WaitingFor
	Pause(ctx context.Context, deliveryID, reason string) error
	Resume(ctx context.Context, deliveryID string, letFail time.Duration) error
	Snapshots() []pathpush.Snapshot
}

// Actor is who asks.
type Actor struct {
	Name     string
	Operator bool // Else a viewer: reads, with phone numbers masked.
}

// Service does what operators ask for. It is safe for concurrent use.
type Service struct {
	Store    Store
	Pusher   Pusher
	Accounts []string // delivery_ids, as configured
	// BackupDir is where a copy of the store is made before it is sent out; best on the store's own disk.
	BackupDir string
	Log       *slog.Logger
}

// PutToken registers a waybill's Token. changed is false if it was the newest already.
func (s *Service) PutToken(ctx context.Context, by Actor, w state.Waybill, token string) (changed bool, err error) {
	if err := s.known(w.DeliveryID); err != nil {
		return false, err
	}
	if token == "" || len(token) > state.MaxTokenBytes {
		return false, invalidField("token", "length",
			problem.Textf("token must have 1 to %d bytes.", "token 必须为 1 到 %d 字节。", state.MaxTokenBytes))
	}
	if changed, err = s.Store.PutToken(ctx, w, token, store.Act{By: by.Name, Action: store.ActToken}); err != nil {
		return false, storeProblem(err)
	}
	s.acted(by, "token registered", "delivery_id", w.DeliveryID, "waybill_id", w.WaybillID, "changed", changed)
	return changed, nil
}

// Replay makes a push pending again.
func (s *Service) Replay(ctx context.Context, by Actor, seq uint64, force bool) (PushItem, error) {
	p, err := s.Store.Replay(ctx, seq, force, store.Act{By: by.Name, Action: store.ActReplay})
	switch {
	case errors.Is(err, store.ErrState):
		return PushItem{}, s.cannotReplay(ctx, seq)
	case err != nil:
		return PushItem{}, storeProblem(err)
	}
	s.acted(by, "push replayed", "seq", seq, "delivery_id", p.Event.DeliveryID, "waybill_id", p.Event.WaybillID, "force", force)
	return pushItem(&p, by), nil
}

// cannotReplay says why, by the status that the push has now.
func (s *Service) cannotReplay(ctx context.Context, seq uint64) error {
	p, err := s.Store.Push(ctx, seq)
	if err != nil {
		return storeProblem(err)
	}
	out := problem.New(problem.ConflictState).With("seq", seq).With("push_status", p.Status.String())
	switch p.Status {
	case store.Delivered:
		return out.Sayf(`Push %d is delivered already; sending it again shows the customer the same node twice. If that is what you want, send {"force":true}.`,
			`推送 %d 已送达，再次发送会使用户看到重复的节点。如确需重发，请传 {"force":true}。`, seq)
	case store.NoPush:
		return out.Sayf("Event %d was not accepted, so there is nothing to push.", "事件 %d 未被接受，没有可推送的内容。", seq)
	}
	return out.Sayf("Push %d is %s already; it goes out by itself.", "推送 %d 当前为 %s，会自动发送。", seq, p.Status)
}

// Pause stops an account's pushes.
func (s *Service) Pause(ctx context.Context, by Actor, deliveryID, reason string) error {
	if err := s.known(deliveryID); err != nil {
		return err
	}
	if reason == "" {
		reason = "paused by " + by.Name
	}
	if err := s.Pusher.Pause(ctx, deliveryID, reason); err != nil {
		return storeProblem(err)
	}
	s.acted(by, "account paused", "delivery_id", deliveryID, "reason", reason)
	return nil
}

// Resume lets an account's pushes go on.
func (s *Service) Resume(ctx context.Context, by Actor, deliveryID string) error {
	if err := s.known(deliveryID); err != nil {
		return err
	}
	if err := s.Pusher.Resume(ctx, deliveryID, 0); err != nil {
		return storeProblem(err)
	}
	s.acted(by, "account resumed", "delivery_id", deliveryID)
	return nil
}

// Push reads one push with its attempts.
func (s *Service) Push(ctx context.Context, by Actor, seq uint64) (PushDetail, error) {
	p, err := s.Store.Push(ctx, seq)
	if err != nil {
		return PushDetail{}, storeProblem(err)
	}
	if p.Status == store.NoPush {
		return PushDetail{}, problem.New(problem.NotFound).Sayf(
			"Event %d has no push: it was not accepted. Its verdict is in /admin/v1/events.",
			"事件 %d 没有推送：它未被接受。其判定见 /admin/v1/events。", seq)
	}
	p.WaitingFor = s.overlay(&p)
	return pushDetail(&p, by), nil
}

// overlay adds what the store does not know: what the whole account waits for.
func (s *Service) overlay(p *store.Push) store.WaitingFor {
	if p.Status != store.Pending || p.WaitingFor == store.WaitToken || p.WaitingFor == store.WaitWaybill {
		return p.WaitingFor
	}
	if held := s.Pusher.Held(p.Event.DeliveryID); held != store.WaitNothing {
		return held
	}
	return p.WaitingFor
}

// Pushes lists pushes, newest first.
func (s *Service) Pushes(ctx context.Context, by Actor, q store.Query) (List[PushItem], error) {
	q.Held = s.Pusher.Held
	page, err := s.Store.Pushes(ctx, q)
	if err != nil {
		return List[PushItem]{}, storeProblem(err)
	}
	return listOf(page, func(p *store.Push) PushItem { return pushItem(p, by) }), nil
}

// Events lists events of every verdict, newest first.
func (s *Service) Events(ctx context.Context, by Actor, q store.Query) (List[EventItem], error) {
	q.Held = s.Pusher.Held
	page, err := s.Store.Events(ctx, q)
	if err != nil {
		return List[EventItem]{}, storeProblem(err)
	}
	return listOf(page, func(e *store.Event) EventItem { return eventItem(e, by) }), nil
}

// Waybill reads a waybill's story.
func (s *Service) Waybill(ctx context.Context, by Actor, w state.Waybill) (WaybillItem, error) {
	kept, err := s.Store.Waybill(ctx, w)
	if err != nil {
		return WaybillItem{}, storeProblem(err)
	}
	return waybillItem(&kept, by, s.overlay), nil
}

// AccountList tells how the accounts are, as configured.
func (s *Service) AccountList() List[AccountItem] {
	stats, now := s.Store.Stats(), time.Now()
	items := []AccountItem{}
	for _, snap := range s.Pusher.Snapshots() {
		items = append(items, accountItem(&snap, &stats, now))
	}
	return List[AccountItem]{Items: items}
}

// known refuses accounts that are not configured.
func (s *Service) known(deliveryID string) error {
	if slices.Contains(s.Accounts, deliveryID) {
		return nil
	}
	return problem.New(problem.NotFound).Sayf("There is no account %q; GET /admin/v1/accounts lists them.",
		"没有账户 %q；可用 GET /admin/v1/accounts 查看。", deliveryID)
}

// acted logs what an operator did.
func (s *Service) acted(by Actor, what string, args ...any) {
	s.Log.Info(what, append([]any{"by", by.Name}, args...)...)
}

// storeProblem makes a problem of a store's error.
func storeProblem(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return problem.New(problem.NotFound).Because(err)
	case errors.Is(err, store.ErrState):
		return problem.New(problem.ConflictState).Because(err)
	case errors.Is(err, store.ErrUnavailable):
		return problem.New(problem.StoreUnavailable).After(time.Second).Because(err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return problem.New(problem.OutcomeUnknown).After(time.Second).Because(err)
	}
	return err
}

func invalidField(field, code string, message problem.Text) error {
	p := problem.New(problem.InvalidRequest)
	p.Errors = []problem.FieldError{{Field: field, Code: code, Message: message}}
	return p
}
