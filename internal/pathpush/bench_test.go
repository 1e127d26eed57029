package pathpush

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/wechat"
)

// noStore makes everything durable at once.
type noStore struct {
	settled atomic.Int64
	goal    int64
	done    chan struct{}
}

func (s *noStore) Lane(_ context.Context, w state.Waybill) (store.Lane, error) {
	return store.Lane{Waybill: w}, nil
}
func (s *noStore) Sweep(context.Context, string, store.Place) ([]state.Waybill, store.Place, bool, error) {
	return nil, store.Place{}, true, nil
}
func (s *noStore) Settle(_ store.Outcome, done func(error)) {
	done(nil)
	if s.settled.Add(1) == s.goal {
		close(s.done)
	}
}
func (s *noStore) Account(context.Context, string) (store.Account, error) {
	return store.Account{}, nil
}
func (s *noStore) PutAccount(context.Context, string, store.Account) error { return nil }

// noUpstream takes everything at once.
type noUpstream struct{}

func (noUpstream) UpdatePath(context.Context, string, wechat.PathUpdate) (wechat.Answer, error) {
	return wechat.Answer{Errmsg: "ok", HTTPStatus: 200}, nil
}

type noCreds struct{ fakeCreds }

func (*noCreds) Dated(context.Context) (string, time.Time, error) {
	return "ACCESS", time.Unix(1_800_000_000, 0), nil
}

// BenchmarkPush is what a push costs here, without what the store and the network cost.
func BenchmarkPush(b *testing.B) {
	for _, perWaybill := range []int{1, 8} {
		b.Run(fmt.Sprintf("waybills of %d", perWaybill), func(b *testing.B) { benchmarkPush(b, perWaybill) })
	}
}

func benchmarkPush(b *testing.B, perWaybill int) {
	s := &noStore{goal: int64(b.N), done: make(chan struct{})}
	p, err := New(Options{Store: s, MaxLoaded: b.N + 1, Accounts: []AccountOptions{
		{DeliveryID: "SF", Hosts: []Host{{"main", noUpstream{}}}, Credentials: &noCreds{}},
	}})
	if err != nil {
		b.Fatal(err)
	}
	changes := benchmarkChanges(b.N, perWaybill)
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	b.ReportAllocs()
	b.ResetTimer()
	go func() { ended <- p.Run(ctx) }()
	for i := range changes {
		p.Feed(changes[i : i+1])
	}
	<-s.done
	b.StopTimer()
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}

// benchmarkChanges are n pushes, of so many a waybill.
func benchmarkChanges(n, perWaybill int) []store.Change {
	var changes []store.Change
	for seq := 1; seq <= n; seq += perWaybill {
		w := state.Waybill{DeliveryID: "SF", WaybillID: fmt.Sprintf("SF%012d", seq)}
		c := store.Change{Waybill: w, Whole: true, Token: "TOKEN"}
		for i := range min(perWaybill, n-seq+1) {
			c.Added = append(c.Added, store.Push{
				Seq: uint64(seq + i), Ord: uint64(seq + i), Status: store.Pending, ReceivedAt: time.Now(),
				Event: state.Event{ID: "1", Source: "s", DeliveryID: w.DeliveryID, WaybillID: w.WaybillID, Type: state.Transit,
					Time: 1533052800, Msg: "快件已到达深圳集散中心"},
			})
		}
		changes = append(changes, c)
	}
	return changes
}
