package admin

import (
	"cmp"
	"context"
	"encoding/base64"
	"regexp"
	"time"
	"unicode/utf8"

	"carrier/internal/store"
)

// DeadLetterItem is a message that can never be read. Body is null when it is no UTF-8; operators get its bytes then.
type DeadLetterItem struct {
	ID         string    `json:"id"`
	ReceivedAt time.Time `json:"received_at"`
	Source     string    `json:"source"`
	Subject    string    `json:"subject"`
	Code       string    `json:"code"`
	Reason     string    `json:"reason"`
	Text       Text      `json:"text"` // The same in both languages.
	Body       *string   `json:"body"`
	BodyBase64 string    `json:"body_base64"`
}

// DeadLetters lists them, newest first.
func (s *Service) DeadLetters(ctx context.Context, by Actor, q PageQuery) (List[DeadLetterItem], error) {
	page, err := s.Store.DeadLetters(ctx, q.Before, q.Limit)
	if err != nil {
		return List[DeadLetterItem]{}, storeProblem(err)
	}
	return listOf("dead-letters", page, func(d *store.DeadLetter) DeadLetterItem { return deadLetterItem(d, by) }), nil
}

func deadLetterItem(d *store.DeadLetter, by Actor) DeadLetterItem {
	item := DeadLetterItem{
		ID: number(d.Number), ReceivedAt: d.ReceivedAt.UTC(), Source: d.Source, Subject: d.Subject, Code: d.Code,
		Reason: shown(d.Reason, by), Text: Text{d.Reason, cmp.Or(d.ReasonZh, d.Reason)}.shown(by),
	}
	body := withoutToken(d.Body)
	switch {
	case utf8.Valid(body):
		item.Body = new(shownJSON(string(body), by))
	case by.Operator:
		item.BodyBase64 = base64.StdEncoding.EncodeToString(body)
	}
	return item
}

// tokenMember finds the value of a member token in what may be no JSON at all: cut short, in single quotes, or a form.
var tokenMember = regexp.MustCompile(`(?i)(token["']?\s*[:=]\s*)("(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s,;&{}\[\]"']+)`)

// withoutToken hides a waybill's Token in a message that could not be read.
func withoutToken(body []byte) []byte { return tokenMember.ReplaceAll(body, []byte(`${1}"***"`)) }
