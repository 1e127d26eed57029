package sandbox

import (
	"net/http"
	"time"
)

// merchantCall answers one of the merchants' calls that ask no carrier, through the faults of these: with what do
// makes of a request, or its refusal.
func (s *Sandbox) merchantCall(do func(app App, p part) (any, *refusal)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		app, body, no := s.business(r)
		h := s.faults.drawBusiness()
		var answer any
		switch {
		case h.code != codeOK:
			no = h.refusal()
		case no == nil && !h.fault.before():
			answer, no = readRequest(body, app, do)
		}
		if !s.hold(r, h) {
			return
		}
		switch {
		case h.fault.spoils():
			s.spoil(w, h.fault)
		case no != nil:
			s.answer(w, r, no)
		default:
			write(w, contentType, encode(answer))
		}
	}
}

// openAPI answers one of the calls about calls. No fault touches them but an outage.
func (s *Sandbox) openAPI(w http.ResponseWriter, r *http.Request, do func(appID string, p part) (any, *refusal)) {
	if s.faults.outage() {
		panic(http.ErrAbortHandler)
	}
	app, no := s.identify(r, time.Now())
	var answer any
	if no == nil {
		var body []byte
		if body, no = readPost(r); no == nil {
			answer, no = readRequest(body, app, func(app App, p part) (any, *refusal) { return do(app.AppID, p) })
		}
	}
	if no != nil {
		s.answer(w, r, no)
		return
	}
	write(w, contentType, encode(answer))
}

// readRequest has do read a request's JSON object.
func readRequest(body []byte, app App, do func(App, part) (any, *refusal)) (any, *refusal) {
	p := readForm(body)
	if p.no != nil {
		return nil, p.no
	}
	return do(app, p)
}
