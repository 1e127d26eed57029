package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"carrier/internal/problem"
)

// Live pages show what changes as it does: their "live" template is filled anew every other second, and sent to whoever
// listens if it differs from what was sent last. The script puts the parts that have an id in the place of those that
// have the same. Without script a page is as it was when it was loaded, and has a link to load it again.

const (
	tickEvery = 2 * time.Second
	// maxListeners and maxListenersEach bound the connections that are held open, in all and under one session.
	maxListeners     = 200
	maxListenersEach = 10
	// maxMissed is how many ticks a listener may be behind before it is dropped, and sendWithin how long one write may take.
	maxMissed  = 5
	sendWithin = 10 * time.Second
	// quietEvery is when something is sent although nothing changed, so that nothing on the way takes the connection for dead.
	quietEvery = 15 * time.Second
)

// hub has the listeners. Its zero value is not running: nobody can listen.
type hub struct {
	mu        sync.Mutex
	running   bool
	listeners map[*listener]struct{}
}

// listener is one open connection.
type listener struct {
	session *session
	tick    chan struct{}
	dropped chan struct{} // Closed when it is to go.
	missed  int           // Guarded by the hub's lock.
}

// start lets listeners come, and stop sends all away.
func (h *hub) start() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running, h.listeners = true, map[*listener]struct{}{}
}

func (h *hub) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running = false
	for l := range h.listeners {
		h.drop(l)
	}
}

// errFull is why nobody more can listen.
var errFull = errors.New("too many pages are open live")

// listen adds a listener; leave must be called in the end.
func (h *hub) listen(s *session) (*listener, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	same := 0
	for l := range h.listeners {
		if l.session == s {
			same++
		}
	}
	if !h.running || len(h.listeners) >= maxListeners || same >= maxListenersEach {
		return nil, errFull
	}
	l := &listener{session: s, tick: make(chan struct{}, 1), dropped: make(chan struct{})}
	h.listeners[l] = struct{}{}
	return l, nil
}

func (h *hub) leave(l *listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.listeners, l)
}

// drop sends a listener away, with the lock held.
func (h *hub) drop(l *listener) {
	close(l.dropped)
	delete(h.listeners, l)
}

// tick has all listeners look again. One that is slow is not waited for, and dropped if it stays behind.
func (h *hub) tick() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.listeners {
		select {
		case l.tick <- struct{}{}:
			l.missed = 0
		default:
			if l.missed++; l.missed > maxMissed {
				h.drop(l)
			}
		}
	}
}

// Run keeps the figures of each minute and has live pages look again, until ctx ends; then nobody listens any more.
func (c *Console) Run(ctx context.Context) error {
	c.hub.start()
	defer c.hub.stop()
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		c.meter.Backlog(c.pending())
		c.sessions.sweep(time.Now())
		c.hub.tick()
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// liveView makes the view of a live page anew.
type liveView func(v *Visit) (any, error)

// live are the pages that can be listened to, by the name of their template.
func (c *Console) live() map[string]liveView {
	return map[string]liveView{
		"overview": c.overview, "accounts": c.accountsView, "sources": c.sourcesView, "replays": c.replaysView, "replay": c.replayView,
	}
}

// Events sends a live page's parts as they change (server-sent events), until its visitor goes away or is logged out, or
// the service stops. The address says which page it is (of), and its parameters are that page's.
func (c *Console) Events(v *Visit) error {
	name := v.R.URL.Query().Get("of")
	view := c.live()[name]
	if view == nil {
		return problem.New(problem.NotFound)
	}
	l, err := c.hub.listen(v.session)
	if err != nil {
		return problem.New(problem.StoreUnavailable).After(time.Minute).Because(err).Say(
			"Too many pages are open live; this one stays as it is until you load it again.", "实时页面过多；本页请手动刷新。")
	}
	defer c.hub.leave(l)
	h := v.W.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would keep it back.
	v.W.WriteHeader(http.StatusOK)
	if v.R.Method == http.MethodHead {
		return nil
	}
	c.send(v, l, func() ([]byte, error) { return c.liveParts(v, name, view) })
	return nil
}

// liveParts is a page's live template as it is now.
func (c *Console) liveParts(v *Visit, name string, view liveView) ([]byte, error) {
	now, err := view(v)
	if err != nil {
		return nil, err
	}
	return c.pages.execute(v.lang, name, "live", v.bareFrame(now))
}

// send writes what changed at each tick. What is wrong ends it: the browser asks again by itself, and a page that stays
// wrong says so when it is loaded.
func (c *Console) send(v *Visit, l *listener, parts func() ([]byte, error)) {
	out := &stream{w: v.W, control: http.NewResponseController(v.W)}
	// The server's limits are for requests that end. A fake of a test may have none.
	_ = out.control.SetReadDeadline(time.Time{})
	for {
		body, err := parts()
		if err == nil {
			err = out.send(body)
		}
		if err != nil {
			c.log.Debug("a live page ended", "path", v.R.URL.Path, "err", err)
			return
		}
		select {
		case <-v.Context().Done():
			return
		case <-l.session.ended:
			return
		case <-l.dropped:
			return
		case <-l.tick:
		}
		if by, ok := v.call.Tokens.Whose(l.session.token); !ok || by.Operator != v.By.Operator {
			return // With another role the page shows other things: the browser asks for it again.
		}
	}
}

// stream writes server-sent events.
type stream struct {
	w       io.Writer
	control *http.ResponseController
	last    []byte    // what was sent
	at      time.Time // when
}

// send sends body unless it was sent last.
func (s *stream) send(body []byte) error {
	var message []byte
	switch {
	case !bytes.Equal(body, s.last):
		message = event(body)
	case time.Since(s.at) >= quietEvery:
		message = []byte(":\n\n")
	default:
		return nil
	}
	if err := s.control.SetWriteDeadline(time.Now().Add(sendWithin)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.w.Write(message); err != nil {
		return err
	}
	s.last, s.at = body, time.Now()
	return s.control.Flush()
}

// event is a body as one event: each line with its mark before it.
func event(body []byte) []byte {
	var b bytes.Buffer
	b.WriteString("event: parts\n")
	for line := range bytes.Lines(body) {
		fmt.Fprintf(&b, "data: %s\n", bytes.TrimRight(line, "\r\n"))
	}
	b.WriteString("\n")
	return b.Bytes()
}
