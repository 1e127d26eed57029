package ingest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"carrier/internal/problem"
	"carrier/internal/state"
)

// headers are a message's, as their sender wrote them.
type headers = map[string][]string

// message is one of the source that HTTP tests send from too.
func message(body string, h headers) Message {
	return Message{Source: "courier-app", Header: h, Body: []byte(body)}
}

// ceHeaders are the attributes of a CloudEvent in binary mode, in letter case of a sender's own, and more headers.
func ceHeaders(more ...string) headers {
	h := headers{"ce-specversion": {"1.0"}, "CE-ID": {"ce-1"}, "Ce-Source": {"/scanner/7"}, "ce-Type": {"com.example.scan"}}
	for i := 0; i < len(more); i += 2 {
		if more[i+1] == "-" {
			delete(h, more[i])
		} else {
			h[more[i]] = append(h[more[i]], more[i+1])
		}
	}
	return h
}

// take sends messages and checks what holds of every reply.
func (b *bench) take(messages ...Message) []Reply {
	b.t.Helper()
	replies := b.hook.Take(b.t.Context(), messages)
	if len(replies) != len(messages) {
		b.t.Fatalf("%d replies to %d messages", len(replies), len(messages))
	}
	for i := range replies {
		checkReply(b.t, &replies[i])
	}
	b.checkSecrets(fmt.Sprintf("%+v", replies))
	return replies
}

// takeOne is take for one message.
func (b *bench) takeOne(m Message) Reply {
	b.t.Helper()
	return b.take(m)[0]
}

// checkSecrets looks for what no answer and no log may tell.
func (b *bench) checkSecrets(told string) {
	b.t.Helper()
	for _, secret := range []string{secretToken, secretMsg, "18666666666", testKey} {
		if strings.Contains(told, secret) {
			b.t.Errorf("the reply tells %q: %s", secret, told)
		}
		if strings.Contains(b.log.String(), secret) {
			b.t.Errorf("the log tells %q: %s", secret, b.log)
		}
	}
}

// checkReply checks that a reply is one of the three kinds, and whole.
func checkReply(t testing.TB, r *Reply) {
	t.Helper()
	after, again := r.Again()
	never := r.Verdict == state.Invalid || r.Verdict == state.Conflict
	kinds := 0
	for _, is := range []bool{r.Durable(), again, never} {
		if is {
			kinds++
		}
	}
	if kinds != 1 || again != (after > 0) || again != (r.Verdict == 0) {
		t.Errorf("durable %v, again %v after %v, never %v: %+v", r.Durable(), again, after, never, r)
	}
	if (r.Problem == nil) == (r.Answer == nil) {
		t.Errorf("answer %s and problem %v", r.Answer, r.Problem)
		return
	}
	texts := [][]byte{r.Answer}
	if r.Problem != nil {
		texts = [][]byte{r.Problem.JSON(problem.English), r.Problem.JSON(problem.Chinese)}
	}
	for _, text := range texts {
		var doc struct {
			ID      string
			Verdict string
		}
		if err := json.Unmarshal(text, &doc); err != nil || len(text) > 16384 {
			t.Errorf("an answer of %d bytes (%v): %s", len(text), err, text)
		}
		if !again && (doc.ID != r.ID || doc.Verdict != r.Verdict.String()) {
			t.Errorf("the reply says %q %v, its answer %s", r.ID, r.Verdict, text)
		}
	}
}

// outcome is a reply in short: the verdict, else the code, and the fields with what is wrong with them.
func outcome(r *Reply) string {
	if r.Problem == nil {
		return r.Verdict.String()
	}
	var words []string
	for _, e := range r.Problem.Errors {
		words = append(words, e.Field+":"+e.Code)
	}
	return strings.TrimSpace(string(r.Problem.Code) + " " + strings.Join(words, " "))
}
