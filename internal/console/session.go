package console

import (
	"crypto/rand"
	"net/http"
	"sync"
	"time"

	"carrier/internal/admin"
)

const (
	sessionCookie = "carrier_session"
	// sessionIdle ends a session that nobody uses: about a shift.
	sessionIdle = 12 * time.Hour
	// maxSessions bounds those that are kept. Beyond it the one ends that was not used for longest.
	maxSessions = 1000
	// maxFlash bounds what waits to be told; one page tells it all.
	maxFlash = 5
)

// TokenKey names an admin token without being it.
type TokenKey [32]byte

// Tokens knows the admin tokens (see server).
type Tokens interface {
	// Open says whose token it is. An error is a problem for the visitor: a wrong token, or too many of them from that address.
	Open(token, from string) (TokenKey, admin.Actor, error)
	// Whose says whose token has that key by now; false if it was taken out.
	Whose(key TokenKey) (admin.Actor, bool)
}

// session is a log-in.
type session struct {
	token TokenKey
	ended chan struct{} // Closed when it ends, for whoever listens under it.

	used time.Time // Guarded by the sessions' lock.

	mu   sync.Mutex
	done []string // what was just done, for the next page
}

// flash keeps a line for the next page.
func (s *session) flash(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = append(s.done, line)
	s.done = s.done[max(0, len(s.done)-maxFlash):]
}

// takeFlash takes what waits to be told.
func (s *session) takeFlash() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := s.done
	s.done = nil
	return lines
}

// sessions are kept in memory: a restart of the service ends them all.
type sessions struct {
	mu   sync.Mutex
	byID map[string]*session
}

func newSessions() *sessions { return &sessions{byID: map[string]*session{}} }

// begin makes a session for a token, and returns its id: a secret.
func (s *sessions) begin(token TokenKey, now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endIdle(now)
	if len(s.byID) >= maxSessions {
		s.end(s.idlest())
	}
	id := rand.Text() // 130 bits.
	s.byID[id] = &session{token: token, ended: make(chan struct{}), used: now}
	return id
}

// find is the session of an id; nil if it ended, or if its token was taken out since.
func (s *sessions) find(id string, tokens Tokens, now time.Time) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.byID[id]
	if found == nil {
		return nil
	}
	if _, ok := tokens.Whose(found.token); !ok || now.Sub(found.used) >= sessionIdle {
		s.end(id)
		return nil
	}
	found.used = now
	return found
}

// endOrphans ends those whose token was taken out.
func (s *sessions) endOrphans(tokens Tokens) (ended int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, one := range s.byID {
		if _, ok := tokens.Whose(one.token); !ok {
			s.end(id)
			ended++
		}
	}
	return ended
}

// stop ends one session, if it is there.
func (s *sessions) stop(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(id)
}

// end ends a session, with the lock held.
func (s *sessions) end(id string) {
	if found := s.byID[id]; found != nil {
		close(found.ended)
		delete(s.byID, id)
	}
}

// sweep ends those that nobody used for too long.
func (s *sessions) sweep(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endIdle(now)
}

// endIdle ends those that nobody used for too long, with the lock held.
func (s *sessions) endIdle(now time.Time) {
	for id, one := range s.byID {
		if now.Sub(one.used) >= sessionIdle {
			s.end(id)
		}
	}
}

// idlest is the one that was not used for longest, with the lock held.
func (s *sessions) idlest() (id string) {
	var used time.Time
	for candidate, one := range s.byID {
		if id == "" || one.used.Before(used) {
			id, used = candidate, one.used
		}
	}
	return id
}

// cookie is the session's cookie. It goes with the browser's own session, so that a shared desk is not left logged in.
func (v *Visit) cookie(id string) *http.Cookie {
	return &http.Cookie{
		Name: sessionCookie, Value: id, Path: "/", HttpOnly: true, Secure: v.call.Secure, SameSite: http.SameSiteStrictMode,
	}
}
