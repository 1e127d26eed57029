package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"carrier/internal/bus/natstest"
	"carrier/internal/ingest"
	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
)

const (
	// secretToken and secretText stand for a waybill's Token and an event's text: both may go in, and never come out.
	secretToken = "CANARY-TOKEN-7f3a"
	secretText  = "CANARY-TEXT 18666666666"
)

// instanceName is the name of a test's store.
const instanceName = "7c9e6679-7425-40de-944b-e07fc1f90ae7"

// fakeEvents decides events by their id: "bad" is invalid, "no" rejected, "later" not taken; anything else is accepted.
type fakeEvents struct {
	gate chan struct{} // If not nil, each call takes a value first: the commit.

	mu      sync.Mutex
	calls   [][]ingest.Message
	entered int // Calls that began.
	seq     uint64
}

func (f *fakeEvents) Take(ctx context.Context, messages []ingest.Message) []ingest.Reply {
	f.begin(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, slices.Clone(messages))
	replies := make([]ingest.Reply, len(messages))
	for i, m := range messages {
		replies[i] = f.reply(ctx, m)
	}
	return replies
}

func (f *fakeEvents) begin(ctx context.Context) {
	f.mu.Lock()
	f.entered++
	f.mu.Unlock()
	if f.gate != nil {
		select {
		case <-f.gate:
		case <-ctx.Done():
		}
	}
}

func (f *fakeEvents) reply(ctx context.Context, m ingest.Message) ingest.Reply {
	var e struct{ ID string }
	if err := json.Unmarshal(m.Body, &e); err != nil {
		return ingest.Reply{Verdict: state.Invalid, Problem: problem.New(problem.MalformedJSON)}
	}
	switch {
	case ctx.Err() != nil:
		return ingest.Reply{Problem: problem.New(problem.OutcomeUnknown).After(time.Second)}
	case e.ID == "bad":
		return ingest.Reply{ID: e.ID, Verdict: state.Invalid, Problem: problem.New(problem.InvalidEvent)}
	case e.ID == "no":
		return ingest.Reply{ID: e.ID, Verdict: state.Rejected, Problem: problem.New(problem.Rejected)}
	case e.ID == "later":
		return ingest.Reply{ID: e.ID, Problem: problem.New(problem.StoreUnavailable).After(2500 * time.Millisecond)}
	}
	f.seq++
	return ingest.Reply{ID: e.ID, Verdict: state.Accepted, Answer: fmt.Appendf(nil,
		`{"id":%q,"waybill_id":"W1","verdict":"accepted","stage":"created","seq":%d}`, e.ID, f.seq)}
}

func (f *fakeEvents) TakeBatch(ctx context.Context, m ingest.Message) ([]byte, *problem.Problem) {
	f.begin(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, []ingest.Message{m})
	switch {
	case strings.Contains(string(m.Body), "later"):
		return nil, problem.New(problem.StoreUnavailable).After(time.Second)
	case strings.Contains(string(m.Body), "huge"):
		return []byte(`{"results":"` + strings.Repeat("x", 2<<20) + `"}`), nil
	}
	return []byte(`{"results":[],"counts":{}}`), nil
}

// taken are the bodies of all messages, in the order in which they were taken, and in how many calls.
func (f *fakeEvents) taken() (bodies []string, calls int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		for _, m := range c {
			bodies = append(bodies, string(m.Body))
		}
	}
	return bodies, len(f.calls)
}

func (f *fakeEvents) begun() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.entered
}

// fakeStore keeps Tokens and notices in memory. It fails the test if it is misused.
type fakeStore struct {
	t           testing.TB
	store.Store // Nothing else of it is used.

	mu      sync.Mutex
	tokens  map[state.Waybill][]string
	fail    error // Of PutToken.
	notices []store.Notice
	told    uint64
	asked   int   // Calls of Notices.
	toldErr error // Of Told.
	forget  bool  // Told does as if, and keeps nothing: a crash right after.
}

func (f *fakeStore) Ready() error { return nil }

func (f *fakeStore) PutToken(_ context.Context, w state.Waybill, token string, act store.Act) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if act != (store.Act{}) {
		f.t.Errorf("a Token of NATS is the act %+v of a person", act)
	}
	if f.fail != nil {
		return false, f.fail
	}
	if f.tokens == nil {
		f.tokens = map[state.Waybill][]string{}
	}
	had := f.tokens[w]
	if len(had) > 0 && had[len(had)-1] == token {
		return false, nil
	}
	f.tokens[w] = append(had, token)
	return true, nil
}

func (f *fakeStore) Notices(ctx context.Context, after uint64, limit int) ([]store.Notice, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	var found []store.Notice
	for _, n := range f.notices {
		if n.Number > max(after, f.told) && len(found) < limit {
			found = append(found, n)
		}
	}
	return found, nil
}

func (f *fakeStore) Told(_ context.Context, number uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.toldErr != nil {
		return f.toldErr
	}
	if number <= f.told || number > f.notices[len(f.notices)-1].Number {
		f.t.Errorf("told up to %d after %d, of %d", number, f.told, len(f.notices))
	}
	if !f.forget {
		f.told = number
	}
	return nil
}

func (f *fakeStore) toldUpTo() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.told
}

// options are those of a test, over one server.
func options(t *testing.T, events Events, kept *fakeStore) *Options {
	t.Helper()
	return &Options{
		Events: events, Store: kept, Instance: instanceName, Configured: isAccount, Version: "test",
		Logger: testLog(t),
	}
}

// serve runs the service on a server until the test ends.
func serve(t *testing.T, server *natstest.Server, o *Options) *service {
	t.Helper()
	s := newService(server.Connect(nats.ReconnectBufSize(-1)), o)
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		s.stop(ctx)
	})
	s.flush(t.Context()) // The subscriptions are there.
	return s
}
