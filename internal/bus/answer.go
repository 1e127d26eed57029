package bus

import (
	"encoding/json"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"carrier/internal/problem"
)

// answer tells a sender what became of its request: the body, or the problem.
func (s *service) answer(e *endpoint, q *request, body []byte, p *problem.Problem) {
	e.figures.count(q, p)
	if q.reply == "" { // It was published, not requested.
		return
	}
	msg := &nats.Msg{Subject: q.reply, Data: body, Header: nats.Header{headContentType: {jsonType}}}
	if p != nil {
		msg = problemMsg(q, p)
	}
	err := s.nc.PublishMsg(msg)
	if errors.Is(err, nats.ErrMaxPayload) {
		err = s.nc.PublishMsg(problemMsg(q, problem.New(problem.BatchTooLarge).Sayf(
			"The events were decided, but the answer is larger than the NATS server takes (%d bytes). Send them again in smaller parts: what was kept is answered as duplicate.",
			"事件已处理，但应答超过 NATS 服务器的上限（%d 字节）。请拆成更小的批次重新发送：已保存的事件会返回 duplicate。", s.nc.MaxPayload())))
	}
	if err != nil { // The sender gets none, sends again, and hears that it is a duplicate.
		e.figures.unanswered.Add(1)
		s.log.Debug("an answer did not leave", "endpoint", e.name, "err", err)
	}
}

// problemMsg is a micro-service error that carries the problem: status and code where every client of the protocol looks
// for them, the document as the payload.
func problemMsg(q *request, p *problem.Problem) *nats.Msg {
	h := problemHeader(q, p)
	h[micro.ErrorCodeHeader] = []string{strconv.Itoa(p.Status())}
	h[micro.ErrorHeader] = []string{string(p.Code)}
	return &nats.Msg{Subject: q.reply, Data: p.JSON(q.language()), Header: h}
}

func problemHeader(q *request, p *problem.Problem) nats.Header {
	h := nats.Header{headContentType: {problem.ContentType}, headLanguage: {q.language().Tag()}}
	if p.RetryAfter > 0 {
		h[headRetryAfter] = []string{strconv.Itoa(p.RetrySeconds())}
	}
	return h
}

// refuse answers from within the library's handler.
func refuse(r micro.Request, q *request, p *problem.Problem) {
	// If it does not leave, the library counts it.
	_ = r.Error(strconv.Itoa(p.Status()), string(p.Code), p.JSON(q.language()), micro.WithHeaders(micro.Headers(problemHeader(q, p))))
}

// figures are what an endpoint tells of itself beside the library's own statistics, which don't know what became of a
// request.
type figures struct {
	answered   atomic.Uint64 // Done as asked.
	problems   atomic.Uint64 // Answered with a problem, refused ones aside.
	refused    atomic.Uint64 // Not let in: the queue was full, or the node stops.
	unanswered atomic.Uint64 // Taken, but the answer could not be sent.
	overflows  atomic.Uint64 // How often the library had to drop requests before they were looked at.
	took       atomic.Int64  // Nanoseconds from arrival to answer, all of them together.
}

func (f *figures) count(q *request, p *problem.Problem) {
	f.took.Add(int64(time.Since(q.came)))
	if p != nil {
		f.problems.Add(1)
	} else {
		f.answered.Add(1)
	}
}

// stats is what $SRV.STATS has under "data".
func (s *service) stats(of *micro.Endpoint) any {
	for _, e := range []*endpoint{s.submit, s.token} {
		if e.name == of.Name {
			return e.data()
		}
	}
	return json.RawMessage("null")
}

// statsData are the members of "data".
type statsData struct {
	Waiting    int    `json:"waiting"` // Now.
	Answered   uint64 `json:"answered"`
	Problems   uint64 `json:"problems"`
	Refused    uint64 `json:"refused"`
	Unanswered uint64 `json:"unanswered"`
	Overflows  uint64 `json:"overflows"`
	AnswerTime int64  `json:"answer_time"` // Nanoseconds, as the library's own times.
}

func (e *endpoint) data() statsData {
	f := &e.figures
	return statsData{
		Waiting: len(e.queue), Answered: f.answered.Load(), Problems: f.problems.Load(), Refused: f.refused.Load(),
		Unanswered: f.unanswered.Load(), Overflows: f.overflows.Load(), AnswerTime: f.took.Load(),
	}
}
