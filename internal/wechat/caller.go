package wechat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
)

// TokenSource gives a mini program's access_tokens. [AccessToken] is one.
type TokenSource interface {
	// Get gives the one to use; "" sends none.
	Get(ctx context.Context) (string, error)
	// Refused says that upstream refused one, and tells whether that changed anything.
	Refused(accessToken string) bool
}

// Caller asks upstream on behalf of one mini program: a merchant's (getPath, getOrder, batchGetOrder), or a delivery
// company's own. It is safe for concurrent use.
//
// All its calls but ClearQuota only read, so that each may be made again: on the next host while one is in trouble, and once more
// when upstream refuses the access_token. Beyond that a call is the caller's to repeat. The error of a call is
//
//	*RefusedError  upstream answered, and said no
//	*CallError     no answer that means anything
//	*TokenError    there is no access_token
type Caller struct {
	tokens  TokenSource
	clients []*Client
}

// NewCaller makes a caller of the main host and what to fall back to. Without a client it panics.
func NewCaller(tokens TokenSource, clients ...*Client) *Caller {
	if len(clients) == 0 {
		panic("wechat: a caller needs a client")
	}
	return &Caller{tokens, clients}
}

// RefusedError says that upstream answered a question with an errcode other than 0. What it speaks of is ScopeOf's to
// say.
type RefusedError struct {
	Op string // The call, by its name in the documents: "getPath".
	Answer
}

// Error repeats upstream's words and says what the errcode means.
func (e *RefusedError) Error() string {
	text := fmt.Sprintf("%s: errcode %d: %s", e.Op, e.Errcode, cmp.Or(e.Errmsg, "without words"))
	if meaning := Meaning(e.Errcode, false); meaning != "" {
		text += ": " + meaning
	}
	return text
}

// question is a call of a Caller.
type question struct {
	op, path string
	// marks are fields of a success, one of which is there even if the errcode is not.
	marks []string
	// answerBytes bounds what is read of an answer.
	answerBytes int
	// once: it does something, and is not to be done on another host too. A refused access_token did nothing.
	once bool
}

// ask puts a question and has read make what it can of the answer's fields; on an error the result is the zero value.
func ask[T any](ctx context.Context, c *Caller, q *question, payload []byte, read func(object) T) (T, error) {
	var got, none T
	if err := c.ask(ctx, q, payload, func(o object) { got = read(o) }); err != nil {
		return none, err
	}
	return got, nil
}

// ask has read take the fields of the answer, once for each host that gives one.
func (c *Caller) ask(ctx context.Context, q *question, payload []byte, read func(object)) error {
	for again := false; ; again = true {
		accessToken, err := c.tokens.Get(ctx)
		if err != nil {
			return err
		}
		err = c.askHosts(ctx, q, accessToken, payload, read)
		refused, ok := errors.AsType[*RefusedError](err)
		if again || !ok || ScopeOf(refused.Errcode) != ScopeCredential {
			return err
		}
		c.tokens.Refused(accessToken)
	}
}

// askHosts asks one host after the other, until one is not in trouble.
func (c *Caller) askHosts(ctx context.Context, q *question, accessToken string, payload []byte, read func(object)) (err error) {
	for _, client := range c.clients {
		if err = client.question(ctx, q, accessToken, payload, read); q.once || !inTrouble(err) {
			break
		}
	}
	return err
}

// inTrouble tells whether an error is the host's, so that another one may do better.
func inTrouble(err error) bool {
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return ScopeOf(refused.Errcode) == ScopeUpstream
	}
	failed, ok := errors.AsType[*CallError](err)
	return ok && failed.Kind != KindCanceled
}

// question asks one host.
func (c *Client) question(ctx context.Context, q *question, accessToken string, payload []byte, read func(object)) error {
	cred, callErr := c.credential(accessToken)
	if callErr != nil {
		return c.blame(q.op, callErr)
	}
	r, callErr := do(ctx, c.side, bounds{c.timeout, q.answerBytes}, c.authorised(q.path, cred), payload)
	if callErr != nil {
		return c.blame(q.op, callErr, cred.token)
	}
	r.body = hideBytes(r.body, cred.token) // No field may repeat it.
	answer, fields, bad := readSuccess(r, q.marks...)
	if bad != nil {
		return c.blame(q.op, r.callError(bad), cred.token)
	}
	if answer.Errcode != 0 {
		answer.Errmsg = cleanErrmsg(answer.Errmsg)
		return &RefusedError{q.op, answer}
	}
	if err := readFields(fields, read); err != nil {
		return c.blame(q.op, r.callError(&kindError{KindBadAnswer, err}), cred.token)
	}
	return nil
}
