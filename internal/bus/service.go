package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"carrier/internal/problem"
)

// Bounds of what waits to be taken.
const (
	maxWaiting      = 4096     // Requests an endpoint.
	maxWaitingBytes = 32 << 20 // Of what they take in memory, an endpoint.
	maxPending      = 65_536   // Requests that the client library holds before they are looked at.
	maxPendingBytes = 64 << 20
	busyFor         = time.Second // When to come again for who finds all this full.
	flushWithin     = 5 * time.Second
)

// service is the micro service "carrier": carrier.submit.SOURCE takes events, carrier.token.DELIVERY_ID registers Tokens.
//
// The library calls the handler of an endpoint for one request at a time. It only puts the request into a queue, so that
// one commit is for all that wait: a worker an endpoint takes what is there, in order of arrival, and answers when it is
// durable. A request that finds the queue full is answered at once, with 429.
//
// An answer is a plain message, with headers that carry the problem where there is one: the library's own answers belong
// to the goroutine of the handler. Its statistics thus know of a request only that it came, or was refused at once;
// the rest is under "data" there.
type service struct {
	nc  *nats.Conn
	o   *Options
	log *slog.Logger

	micro  micro.Service
	submit *endpoint
	token  *endpoint
	work   sync.WaitGroup
	cut    context.CancelFunc // Cuts off what the workers do.
}

// endpoint is one of the service's, with the requests that wait for its worker.
type endpoint struct {
	s     *service
	name  string
	queue chan request
	bytes atomic.Int64 // Of what is in queue and with the worker.

	closing sync.RWMutex // Held for reading while a request is put into queue, for writing to close it.
	closed  bool

	figures figures
}

// request is a request that waits.
type request struct {
	reply  string // Where the answer goes; empty: the sender wants none.
	name   string // The last token of the subject.
	header nats.Header
	body   []byte
	size   int64 // Of both in memory, in bytes.
	came   time.Time
}

// newService makes the service; start begins it. o.Events, o.Store, o.Configured, o.Version and o.Logger are used.
func newService(nc *nats.Conn, o *Options) *service {
	s := &service{nc: nc, o: o, log: o.Logger.With("part", "service")}
	s.submit = newEndpoint(s, "submit")
	s.token = newEndpoint(s, "token")
	return s
}

func newEndpoint(s *service, name string) *endpoint {
	return &endpoint{s: s, name: name, queue: make(chan request, maxWaiting)}
}

// start subscribes. Without a connection it takes effect when there is one; after an outage the subscriptions come back
// by themselves.
func (s *service) start() error {
	m, err := micro.AddService(s.nc, micro.Config{
		Name: "carrier", Version: semver(s.o.Version), QueueGroup: "carrier",
		Description:  "Scan events in, WeChat Mini Program logistics out: a scan is answered when it is durable.",
		ErrorHandler: s.slow, StatsHandler: s.stats,
	})
	if err != nil {
		return fmt.Errorf("making the NATS service: %w", err)
	}
	s.micro = m
	ctx, cut := context.WithCancel(context.Background())
	s.cut = cut
	s.work.Go(func() { s.takeAll(ctx) })
	s.work.Go(func() { s.registerAll(ctx) })
	for e, subject := range map[*endpoint]string{s.submit: submitPrefix, s.token: tokenPrefix} {
		err = errors.Join(err, m.AddEndpoint(e.name, micro.HandlerFunc(e.handle),
			micro.WithEndpointSubject(subject+"*"), micro.WithEndpointPendingLimits(maxPending, maxPendingBytes),
			micro.WithEndpointMetadata(schemas[e.name])))
	}
	if err != nil {
		s.stop(context.Background())
		return fmt.Errorf("making the NATS service: %w", err)
	}
	return nil
}

// stop takes no more requests and answers those that came; what is not through when ctx ends is answered as unknown.
// What arrives while it stops is told to come again: another node of the queue group takes it then.
func (s *service) stop(ctx context.Context) {
	if s.micro == nil {
		return
	}
	if err := s.micro.Stop(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		s.log.Warn("the NATS service does not end in order", "err", err)
	}
	s.flush(ctx) // What the server sent before it heard of the end is here then.
	defer context.AfterFunc(ctx, s.cut)()
	s.submit.close()
	s.token.close()
	s.work.Wait()
	s.cut()
	s.flush(ctx) // The answers must leave before the connection is closed.
}

// flush waits for the server, if there is one, to have read all that was sent.
func (s *service) flush(ctx context.Context) {
	if !s.nc.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, flushWithin)
	defer cancel()
	if err := s.nc.FlushWithContext(ctx); err != nil {
		s.log.Debug("the NATS server does not answer", "err", err)
	}
}

// handle is called by the library, one request at a time.
func (e *endpoint) handle(r micro.Request) {
	q := request{
		reply: r.Reply(), name: r.Subject()[strings.LastIndexByte(r.Subject(), '.')+1:],
		header: nats.Header(r.Headers()), body: r.Data(), came: time.Now(),
	}
	q.size = int64(sizeOf(q.header, q.body))
	if !isAnswerable(q.reply) { // Nothing is kept of what can't be answered as its sender wants.
		e.figures.refused.Add(1)
		e.s.log.Debug("a request was dropped whose answer would go where none belongs", "endpoint", e.name)
		return
	}
	if p := e.put(q); p != nil {
		e.figures.refused.Add(1)
		refuse(r, &q, p)
	}
}

// isAnswerable tells whether a request's answer may go where its sender says; nowhere is fine. NATS does not check that,
// and we may publish what the sender may not: with one of the server's own subjects ($JS.API...) or of ours
// (carrier.events...) for an inbox, the answer would be a command, or another's event.
func isAnswerable(reply string) bool {
	for _, prefix := range []string{"$", eventsPrefix, submitPrefix, tokenPrefix, ordersPrefix, outcomePrefix} {
		if strings.HasPrefix(reply, prefix) {
			return false
		}
	}
	return true
}

// put lets a request wait for the worker, if there is room.
func (e *endpoint) put(q request) *problem.Problem {
	e.closing.RLock()
	defer e.closing.RUnlock()
	if e.closed {
		return problem.New(problem.StoreUnavailable).After(busyFor).With("reason", "stopping").Say(
			"This node is stopping. Nothing was kept; send it again, with the same id, after the seconds in Retry-After.",
			"本节点正在停止，未保存任何内容。请在 Retry-After 指定的秒数之后以相同的 id 重新发送。")
	}
	if e.bytes.Add(q.size) <= maxWaitingBytes {
		select {
		case e.queue <- q:
			return nil
		default:
		}
	}
	e.bytes.Add(-q.size)
	return problem.New(problem.RateLimited).After(busyFor).Say(
		"More requests wait here than this service holds; nothing was kept. Send it again after the seconds in Retry-After.",
		"等待处理的请求已达上限，未保存任何内容。请在 Retry-After 指定的秒数之后重新发送。")
}

// close ends the worker once it has taken what waits.
func (e *endpoint) close() {
	e.closing.Lock()
	defer e.closing.Unlock()
	if !e.closed {
		e.closed = true
		close(e.queue)
	}
}

// next waits for a request and returns it with those that wait behind it, at most most; none if there will be no more.
func (e *endpoint) next(into []request, most int) []request {
	q, ok := <-e.queue
	if !ok {
		return nil
	}
	for into = append(into, q); len(into) < most; {
		select {
		case q, ok := <-e.queue:
			if !ok {
				return into
			}
			into = append(into, q)
		default:
			return into
		}
	}
	return into
}

// done makes room for others.
func (e *endpoint) done(taken []request) {
	var size int64
	for i := range taken {
		size += taken[i].size
	}
	e.bytes.Add(-size)
	clear(taken)
}

// slow hears from the library that it had to drop requests of a subscription that was not read in time.
func (s *service) slow(_ micro.Service, err *micro.NATSError) {
	for _, e := range []*endpoint{s.submit, s.token} {
		if strings.HasPrefix(err.Subject, "carrier."+e.name+".") && errors.Is(err, nats.ErrSlowConsumer) {
			e.figures.overflows.Add(1)
		}
	}
	s.log.Error("requests were lost before they were looked at; their senders get no answer and must send again",
		"subject", err.Subject, "err", err)
}

// semverForm is Semantic Versioning 2.0.0, as the library checks it.
var semverForm = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)` +
	`(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?$`)

var notSemver = regexp.MustCompile(`[^0-9A-Za-z-]+`)

// semver is a version in the form that the library insists upon: v1.2.3 loses its v, and what is no such version
// ("devel") becomes a pre-release of 0.0.0.
func semver(version string) string {
	if v := strings.TrimPrefix(version, "v"); semverForm.MatchString(v) {
		return v
	}
	return "0.0.0-carrier-" + notSemver.ReplaceAllString(version, "-")
}
