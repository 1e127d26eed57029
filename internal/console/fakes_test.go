package console

import (
	"context"
	"fmt"
	"sync"
	"time"

	"carrier/internal/admin"
	"carrier/internal/store"
)

// fakeAdmin answers what it is told to, and remembers what was asked for; what a test does not need panics.
type fakeAdmin struct {
	Admin
	mu          sync.Mutex // of accounts, which a console that runs asks for
	accounts    []admin.AccountItem
	stats       admin.StatsItem
	waits       []admin.WaitCount
	differences []admin.DifferenceItem
	letters     []admin.DeadLetterItem
	replays     []admin.ReplayItem
	audit       []admin.AuditItem
	audited     store.AuditQuery // asked for last
	next        string           // the cursor of every list

	acts []string // in order
	err  error    // of every act and list
}

// act takes note of what somebody did.
func (f *fakeAdmin) act(by admin.Actor, format string, args ...any) error {
	f.acts = append(f.acts, by.Name+": "+fmt.Sprintf(format, args...))
	return f.err
}

func (f *fakeAdmin) setAccounts(accounts ...admin.AccountItem) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.accounts = accounts
}

func (f *fakeAdmin) AccountList() admin.List[admin.AccountItem] {
	f.mu.Lock()
	defer f.mu.Unlock()
	return admin.List[admin.AccountItem]{Items: f.accounts}
}

func (f *fakeAdmin) Pause(_ context.Context, by admin.Actor, id, reason string) (admin.AccountItem, error) {
	return admin.AccountItem{}, f.act(by, "pause %s %q", id, reason)
}

func (f *fakeAdmin) Resume(_ context.Context, by admin.Actor, id, reason string, letFail time.Duration) (admin.AccountItem, error) {
	return admin.AccountItem{}, f.act(by, "resume %s %q %s", id, reason, letFail)
}

func (f *fakeAdmin) Probe(_ context.Context, by admin.Actor, id, reason string) (admin.AccountItem, error) {
	return admin.AccountItem{}, f.act(by, "probe %s %q", id, reason)
}

func (f *fakeAdmin) Stats(context.Context) (admin.StatsItem, error) { return f.stats, f.err }

func (f *fakeAdmin) Waits(context.Context, int) ([]admin.WaitCount, error) { return f.waits, f.err }

func (f *fakeAdmin) Differences(context.Context) (admin.List[admin.DifferenceItem], error) {
	return admin.List[admin.DifferenceItem]{Items: f.differences}, f.err
}

func (f *fakeAdmin) DeadLetters(context.Context, admin.Actor, admin.PageQuery) (admin.List[admin.DeadLetterItem], error) {
	return admin.List[admin.DeadLetterItem]{Items: f.letters, NextCursor: f.next}, f.err
}

func (f *fakeAdmin) Audit(_ context.Context, _ admin.Actor, q store.AuditQuery) (admin.List[admin.AuditItem], error) {
	f.audited = q
	return admin.List[admin.AuditItem]{Items: f.audit, NextCursor: f.next}, f.err
}

func (f *fakeAdmin) ListReplays(context.Context, admin.Actor, admin.PageQuery) (admin.List[admin.ReplayItem], error) {
	return admin.List[admin.ReplayItem]{Items: f.replays, NextCursor: f.next}, f.err
}

func (f *fakeAdmin) ReadReplay(_ context.Context, _ admin.Actor, id uint64) (admin.ReplayItem, error) {
	if f.err != nil {
		return admin.ReplayItem{}, f.err
	}
	return f.replays[id-1], nil
}

func (f *fakeAdmin) PauseReplay(_ context.Context, by admin.Actor, id uint64, reason string) (admin.ReplayItem, error) {
	return admin.ReplayItem{ID: fmt.Sprint(id)}, f.act(by, "pause replay %d %q", id, reason)
}

func (f *fakeAdmin) ResumeReplay(_ context.Context, by admin.Actor, id uint64, reason string) (admin.ReplayItem, error) {
	return admin.ReplayItem{ID: fmt.Sprint(id)}, f.act(by, "resume replay %d %q", id, reason)
}

func (f *fakeAdmin) CancelReplay(_ context.Context, by admin.Actor, id uint64, reason string) (admin.ReplayItem, error) {
	return admin.ReplayItem{ID: fmt.Sprint(id)}, f.act(by, "cancel replay %d %q", id, reason)
}

// account is one that works, with pushes by status.
func account(id string, counts map[store.Status]int64) admin.AccountItem {
	return admin.AccountItem{
		DeliveryID: id, Breaker: admin.BreakerItem{Host: "api.weixin.qq.com", State: "closed", Since: time.Now()},
		AccountCounts: admin.AccountCounts{Counts: counts}, Waiting: counts[store.Pending], ConcurrencyNow: 64,
	}
}
