package sandbox

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
)

const (
	// maxRefusals is how many refused requests are kept for rid/get; the oldest are forgotten.
	maxRefusals = 1_000
	// maxKeptBody bounds what is kept of a body.
	maxKeptBody = 4 << 10
	// ridLife is how long upstream keeps one.
	ridLife = 7 * 24 * time.Hour
)

// readBody stands in the place of a body that was read: it gives nothing more, and knows what it was.
type readBody struct {
	body []byte
	at   time.Time
}

func (*readBody) Read([]byte) (int, error) { return 0, io.EOF }
func (*readBody) Close() error             { return nil }

// refused is a request that was answered with a rid.
type refused struct {
	owner string // The appid that made it; "" if that is not known.
	at    time.Time
	took  time.Duration
	url   string // Its access_token shortened.
	body  string
	said  string
	from  string
}

// refusals are those that rid/get can tell of. Safe for concurrent use.
type refusals struct {
	mu    sync.Mutex // Owns what follows.
	byRID map[string]refused
	queue []string
}

func newRefusals() *refusals { return &refusals{byRID: map[string]refused{}} }

func (rs *refusals) add(rid string, r refused) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.byRID[rid] = r
	if rs.queue = append(rs.queue, rid); len(rs.queue) > maxRefusals {
		delete(rs.byRID, rs.queue[0])
		rs.queue = rs.queue[1:]
	}
}

func (rs *refusals) find(rid string) (refused, bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r, ok := rs.byRID[rid]
	return r, ok
}

// remember keeps a request that is answered with a rid.
func (s *Sandbox) remember(rid string, r *http.Request, answer []byte, now time.Time) {
	if !s.counted[r.URL.Path] {
		return // Calls for access_tokens hold secrets, and are nobody's.
	}
	token := accessToken(r.URL.RawQuery)
	kept := refused{owner: s.tokens.owner(token), at: now, said: string(answer), from: r.RemoteAddr}
	if i := strings.LastIndexByte(kept.from, ':'); i > 0 {
		kept.from = kept.from[:i]
	}
	u := *r.URL
	u.Scheme, u.Host = "http", r.Host
	kept.url = u.String()
	if len(token) > 8 {
		kept.url = strings.ReplaceAll(kept.url, token, token[:8]+"xxxx")
	}
	if read, ok := r.Body.(*readBody); ok {
		kept.body, kept.took = string(read.body[:min(len(read.body), maxKeptBody)]), now.Sub(read.at)
	}
	s.refusals.add(rid, kept)
}

// ridForm is what a rid looks like.
var ridForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$`)

// ridGet is POST /cgi-bin/openapi/rid/get (查询rid信息).
func (s *Sandbox) ridGet(w http.ResponseWriter, r *http.Request) {
	s.openAPI(w, r, func(appID string, p part) (any, *refusal) {
		rid := p.text("rid", 128, required)
		if p.no != nil {
			return nil, p.no
		}
		kept, ok := s.refusals.find(rid)
		switch {
		case !ridForm.MatchString(rid):
			return nil, refuse(codeRIDForm, "")
		case !ok:
			return nil, refuse(codeNoRID, "")
		case kept.owner != appID:
			return nil, refuse(codeOthersRID, "")
		case time.Since(kept.at) > ridLife:
			return nil, refuse(codeOldRID, "")
		}
		return ridAnswer{Errmsg: messages[codeOK], Request: ridRequest{
			kept.at.Unix(), kept.took.Milliseconds(), kept.url, kept.body, kept.said, kept.from,
		}}, nil
	})
}

type (
	ridAnswer struct {
		Errcode int        `json:"errcode"`
		Errmsg  string     `json:"errmsg"`
		Request ridRequest `json:"request"`
	}
	ridRequest struct {
		InvokeTime   int64  `json:"invoke_time"`
		CostInMs     int64  `json:"cost_in_ms"`
		RequestURL   string `json:"request_url"`
		RequestBody  string `json:"request_body"`
		ResponseBody string `json:"response_body"`
		ClientIP     string `json:"client_ip"`
	}
)
