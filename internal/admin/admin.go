// Package admin is what operators do and see: lists of pushes and events, a waybill's story, accounts, Tokens, replays,
// pauses, the audit log. The admin API, and what comes beside it, share it; it knows no HTTP.
//
// Nothing here returns a Token, a secret or an access_token. Phone numbers are masked for those who only read. Every
// act is in the audit log: what changes the store keeps its act in the same commit, the rest is recorded before it is
// carried out.
package admin

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"carrier/internal/pathpush"
	"carrier/internal/problem"
	"carrier/internal/replay"
	"carrier/internal/state"
	"carrier/internal/store"
)

// Store is what the operations need of the store (see store.Store).
type Store interface {
	Push(ctx context.Context, seq uint64) (store.Push, error)
	Pushes(ctx context.Context, q store.Query) (store.Page[store.Push], error)
	Events(ctx context.Context, q store.Query) (store.Page[store.Event], error)
	Waybill(ctx context.Context, w state.Waybill) (store.Waybill, error)
	Find(ctx context.Context, q store.FindQuery) (store.Summaries, error)
	Silent(ctx context.Context, q store.SilentQuery) (store.Summaries, error)
	Shown(ctx context.Context, w state.Waybill) (store.Shown, error)
	Differences(ctx context.Context) ([]store.Difference, error)
	Stats() store.Stats
	Backup(ctx context.Context, dir string) error

	PutToken(ctx context.Context, w state.Waybill, token string, act store.Act) (bool, error)
	Replay(ctx context.Context, seq uint64, force bool, act store.Act) (store.Push, error)
	Resend(ctx context.Context, w state.Waybill, seqs []uint64, act store.Act) (store.Replay, error)
	Discard(ctx context.Context, seq uint64, act store.Act) (store.Push, error)
	RetryNow(ctx context.Context, seq uint64, act store.Act) (store.Push, error)
	Freeze(ctx context.Context, w state.Waybill, frozen bool, act store.Act) (bool, error)
	Accept(ctx context.Context, seq uint64, act store.Act) (store.Event, error)
	Expunge(ctx context.Context, w state.Waybill, act store.Act) (store.Expunged, error)

	Record(ctx context.Context, e store.AuditEntry) error
	Audit(ctx context.Context, q store.AuditQuery) (store.Page[store.AuditEntry], error)
	DeadLetters(ctx context.Context, before uint64, limit int) (store.Page[store.DeadLetter], error)
	ReadReplay(ctx context.Context, id uint64) (store.Replay, error)
	ListReplays(ctx context.Context, before uint64, limit int) (store.Page[store.Replay], error)
}

// Pusher is what they need of pushing (see pathpush.Pusher).
type Pusher interface {
	Held(deliveryID string, transitOnly bool) store.WaitingFor
	Pause(ctx context.Context, deliveryID, reason string) error
	// Resume ends a pause; letFail above 0 switches the guard against mass failing off for that long.
	Resume(ctx context.Context, deliveryID string, letFail time.Duration) error
	// Probe sends one push now; pathpush.ErrNothingToProbe if nothing keeps the account that a probe could end.
	Probe(ctx context.Context, deliveryID string) error
	Snapshots() []pathpush.Snapshot
}

// Replayer carries out bulk replays (see replay.Runner).
type Replayer interface {
	DryRun(ctx context.Context, r replay.Request) (replay.Plan, error)
	DryRunOf(ctx context.Context, pushes []store.Push) (replay.Plan, error)
	Start(ctx context.Context, r replay.Request, act store.Act) (store.Replay, error)
	// Set pauses, resumes or cancels one; store.ErrState if its status does not allow that.
	Set(ctx context.Context, id uint64, to store.ReplayStatus, act store.Act) (store.Replay, error)
	// Waiting says why a replay does not go on just now, by account.
	Waiting(id uint64) []replay.Wait
}

// Actor is who asks.
type Actor struct {
	Name     string // Of the admin token.
	From     string // The address that it came from.
	Operator bool   // Else a viewer: reads, with phone numbers masked.
}

// act is what by does, as the audit log keeps it.
func (by Actor) act(action, reason string) store.Act {
	return store.Act{By: by.Name, From: by.From, Action: action, Reason: reason}
}

// Service does what operators ask for. It is safe for concurrent use.
type Service struct {
	Store   Store
	Pusher  Pusher
	Replays Replayer
	// Merchants are with whose credentials upstream is asked what it shows; nil: there are none.
	Merchants Merchants
	WeChat    Upstream        // What it shows of a waybill whose pushes are known.
	Accounts  func() []string // delivery_ids, as configured at the moment
	// BackupDir is where a copy of the store is made before it is sent out; best on the store's own disk.
	BackupDir string
	Version   string
	StartedAt time.Time
	Log       *slog.Logger
}

// configured tells whether there is such an account.
func (s *Service) configured(deliveryID string) bool {
	return slices.Contains(s.Accounts(), deliveryID)
}

// known refuses accounts that are not configured.
func (s *Service) known(deliveryID string) error {
	if s.configured(deliveryID) {
		return nil
	}
	return problem.New(problem.NotFound).Sayf("There is no account %q; GET /admin/v1/accounts lists them.",
		"没有账户 %q；可用 GET /admin/v1/accounts 查看。", deliveryID)
}

// acted logs what an operator did.
func (s *Service) acted(by Actor, what string, args ...any) {
	s.Log.Info(what, append([]any{"by", by.Name, "from", by.From}, args...)...)
}

// maxReasonChars bounds what an operator says about an act, in characters.
const maxReasonChars = 500

// checkReason refuses a reason that is too long, or missing where one is needed.
func checkReason(reason string, needed bool) error {
	switch {
	case needed && strings.TrimSpace(reason) == "":
		return invalidField("reason", "required", problem.Text{
			En: "reason must say why, for the audit log and for whoever looks at this later.", Zh: "必须填写 reason，供审计记录与后续查看。"})
	case utf8.RuneCountInString(reason) > maxReasonChars:
		return invalidField("reason", "length",
			problem.Textf("reason may have at most %d characters.", "reason 最多 %d 个字符。", maxReasonChars))
	}
	return nil
}

// missing is storeProblem for what is about one thing: if the store does not have that, the texts say so.
func missing(err error, en, zh string, args ...any) error {
	if errors.Is(err, store.ErrNotFound) {
		return problem.New(problem.NotFound).Because(err).Sayf(en, zh, args...)
	}
	return storeProblem(err)
}

// missingPush is missing for a push, or an event, by its number.
func missingPush(err error, seq uint64) error {
	return missing(err, "There is no push or event %d; the lists show their numbers as seq.",
		"没有编号为 %d 的推送或事件；编号即列表中的 seq。", seq)
}

// missingWaybill is missing for a waybill.
func missingWaybill(err error, w state.Waybill) error {
	return missing(err, "There is no waybill %s/%s: neither a scan nor a Token of it came. Check both parts.",
		"没有运单 %s/%s：从未收到它的扫描或 Token。请检查账户与运单号。", w.DeliveryID, w.WaybillID)
}

// missingReplay is missing for a replay.
func missingReplay(err error, id uint64) error {
	return missing(err, "There is no replay %d; GET /admin/v1/replays lists them.",
		"没有编号为 %d 的重放；可用 GET /admin/v1/replays 查看。", id)
}

// storeProblem makes a problem of a store's error.
func storeProblem(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return problem.New(problem.NotFound).Because(err)
	case errors.Is(err, store.ErrState):
		return problem.New(problem.ConflictState).Because(err)
	case errors.Is(err, errors.ErrUnsupported):
		return problem.New(problem.ConflictState).Because(err).Say(
			"The store is a PostgreSQL database: copy it with pg_dump, or the whole server with pg_basebackup.",
			"存储为 PostgreSQL 数据库：请使用 pg_dump 备份，或用 pg_basebackup 备份整个服务器。")
	case errors.Is(err, store.ErrUnavailable):
		return problem.New(problem.StoreUnavailable).After(time.Second).Because(err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return problem.New(problem.OutcomeUnknown).After(time.Second).Because(err).Say(
			"It was cut off before its end; whether it was done is not certain. Look before you do it again.",
			"操作中途中断，是否已生效尚不确定。重试之前请先查看。")
	}
	return err
}

func invalidField(field, code string, message problem.Text) error {
	p := problem.New(problem.InvalidRequest)
	p.Errors = []problem.FieldError{{Field: field, Code: code, Message: message}}
	return p
}
