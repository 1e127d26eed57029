package bus

import (
	"context"

	"carrier/internal/ingest"
	"carrier/internal/problem"
)

// takeAll is the worker of carrier.submit.SOURCE. One does it all, so that events are taken in the order in which they
// came.
func (s *service) takeAll(ctx context.Context) {
	waiting := make([]request, 0, ingest.MaxBatch)
	for {
		waiting = s.submit.next(waiting[:0], ingest.MaxBatch)
		if len(waiting) == 0 {
			return
		}
		for left := waiting; len(left) > 0; {
			left = left[s.takeSome(ctx, left):]
		}
		s.submit.done(waiting)
	}
}

// takeSome takes a batch, or as many single events as come before the next one; n is how many requests that were.
func (s *service) takeSome(ctx context.Context, waiting []request) (n int) {
	if q := &waiting[0]; isBatch(q.header, q.body) {
		answer, p := s.o.Events.TakeBatch(ctx, q.message())
		s.answer(s.submit, q, answer, p)
		return 1
	}
	messages := []ingest.Message{waiting[0].message()}
	for _, q := range waiting[1:] {
		if isBatch(q.header, q.body) {
			break
		}
		messages = append(messages, q.message())
	}
	replies := s.o.Events.Take(ctx, messages)
	for i := range replies {
		s.answer(s.submit, &waiting[i], replies[i].Answer, replies[i].Problem)
	}
	return len(messages)
}

func (q *request) message() ingest.Message {
	return ingest.Message{Source: q.name, Via: "take carrier.submit", Header: q.header, Body: q.body}
}

// language is the one that the sender asks for.
func (q *request) language() problem.Language {
	return problem.Negotiate(headerValue(q.header, headAcceptLanguage))
}
