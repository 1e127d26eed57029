package bus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
)

const (
	maxTokens    = 64       // Registered at once.
	maxTokenBody = 64 << 10 // Bytes.
	maxWrong     = 20       // Fields that one answer speaks of.
	storeAgain   = 2 * time.Second
)

// tokenWanted is a request of carrier.token.DELIVERY_ID that could be read.
type tokenWanted struct {
	q       *request
	waybill state.Waybill
	token   string // A secret.
}

// tokenAnswer is what is answered.
type tokenAnswer struct {
	DeliveryID string `json:"delivery_id"`
	WaybillID  string `json:"waybill_id"`
	Changed    bool   `json:"changed"` // False if it was the newest already.
}

// registerAll is the worker of carrier.token.DELIVERY_ID. Tokens of different waybills share a commit; those of one are
// registered in the order in which they came, as the newest counts.
func (s *service) registerAll(ctx context.Context) {
	waiting := make([]request, 0, maxTokens)
	for {
		waiting = s.token.next(waiting[:0], maxTokens)
		if len(waiting) == 0 {
			return
		}
		var all sync.WaitGroup
		for _, wanted := range s.readTokens(waiting) {
			all.Go(func() {
				for _, w := range wanted {
					s.register(ctx, &w)
				}
			})
		}
		all.Wait()
		s.token.done(waiting)
	}
}

// readTokens reads requests, by waybill. Those that can't be read are answered here.
func (s *service) readTokens(waiting []request) map[state.Waybill][]tokenWanted {
	wanted := map[state.Waybill][]tokenWanted{}
	for i := range waiting {
		w := tokenWanted{q: &waiting[i]}
		if p := s.readToken(&w); p != nil {
			s.answer(s.token, w.q, nil, p)
			continue
		}
		wanted[w.waybill] = append(wanted[w.waybill], w)
	}
	return wanted
}

func (s *service) register(ctx context.Context, w *tokenWanted) {
	changed, err := s.o.Store.PutToken(ctx, w.waybill, w.token, store.Act{})
	if err != nil {
		s.answer(s.token, w.q, nil, tokenNotKept(err))
		return
	}
	answer, err := encode(tokenAnswer{w.waybill.DeliveryID, w.waybill.WaybillID, changed})
	if err != nil {
		s.answer(s.token, w.q, nil, problem.New(problem.Internal).Because(err))
		return
	}
	s.answer(s.token, w.q, answer, nil)
}

func tokenNotKept(err error) *problem.Problem {
	code := problem.OutcomeUnknown
	if errors.Is(err, store.ErrUnavailable) {
		code = problem.StoreUnavailable
	}
	return problem.New(code).After(storeAgain).Because(err).Say(
		"The Token may not have been kept. Send it again after the seconds in Retry-After; to repeat it does no harm.",
		"Token 可能未保存。请在 Retry-After 指定的秒数之后重新发送，重复发送无副作用。")
}

// readToken reads {"waybill_id","token"}, by the rules of the admin API's PUT .../token.
func (s *service) readToken(w *tokenWanted) *problem.Problem {
	if !s.o.Configured(w.q.name) {
		return problem.New(problem.NotFound).Say(
			"There is no account of that delivery_id, which is the last part of the subject. Correct it, or have the account configured.",
			"主题最后一段的 delivery_id 没有对应的账户。请更正，或请运维人员配置该账户。")
	}
	members, p := stringMembers(w.q.body, "waybill_id", "token")
	if p != nil {
		return p
	}
	w.waybill, w.token = state.Waybill{DeliveryID: w.q.name, WaybillID: members["waybill_id"]}, members["token"]
	return wrongMembers(checkWaybillID(w.waybill.WaybillID), checkToken(w.token))
}

func checkWaybillID(id string) *problem.FieldError {
	switch {
	case id == "":
		return &problem.FieldError{Field: "waybill_id", Code: "required", Message: problem.Text{
			En: "waybill_id must say which waybill.", Zh: "必须填写 waybill_id。"}}
	case !state.IsWaybillID(id): // Such a one names nothing, and a Token must not make it a waybill.
		return &problem.FieldError{Field: "waybill_id", Code: "illegal_character", Message: problem.Textf(
			"waybill_id must have 1 to %d characters, none of them a space or invisible.", "waybill_id 应为 1 到 %d 个字符，不含空格和不可见字符。", state.MaxWaybillChars)}
	}
	return nil
}

func checkToken(token string) *problem.FieldError {
	if token != "" && len(token) <= state.MaxTokenBytes {
		return nil
	}
	return &problem.FieldError{Field: "token", Code: "length", Message: problem.Textf(
		"token must have 1 to %d bytes.", "token 必须为 1 到 %d 字节。", state.MaxTokenBytes)}
}

// wrongMembers makes a problem of what is wrong; nil if nothing is.
func wrongMembers(found ...*problem.FieldError) *problem.Problem {
	p := problem.New(problem.InvalidRequest).Say("The Token was not kept. Correct the fields under errors and send it again.",
		"Token 未保存。请修改 errors 中列出的字段后重新发送。")
	for _, e := range found {
		if e != nil {
			p.Errors = append(p.Errors, *e)
		}
	}
	if len(p.Errors) == 0 {
		return nil
	}
	return p
}

// stringMembers reads a JSON object that has no members but these, each at most once, under exactly this name, and a
// string. No error repeats anything of the body but the names of members that are there.
func stringMembers(body []byte, names ...string) (map[string]string, *problem.Problem) {
	if body = bytes.TrimSpace(body); len(body) > maxTokenBody {
		return nil, problem.New(problem.BodyTooLarge).With("max_bytes", maxTokenBody)
	}
	if p := problem.CheckObject(body); p != nil {
		return nil, p
	}
	found := map[string]string{}
	var wrong []*problem.FieldError
	for name, raw := range problem.Members(body) {
		if e := addMember(found, name, raw, names); e != nil && len(wrong) < maxWrong {
			wrong = append(wrong, e)
		}
	}
	return found, wrongMembers(wrong...)
}

func addMember(found map[string]string, name string, raw json.RawMessage, names []string) *problem.FieldError {
	if !slices.Contains(names, name) { // Not repeated: a sender who mixes names and values up might have put a Token there.
		return &problem.FieldError{Code: "unknown_field", Message: problem.Text{
			En: "There is a member other than waybill_id and token; names are written in lower case.", Zh: "存在 waybill_id 和 token 以外的字段；字段名须为小写。"}}
	}
	if _, twice := found[name]; twice {
		return &problem.FieldError{Field: name, Code: "repeated_field", Message: problem.Textf("%s is there more than once.", "%s 重复出现。", name)}
	}
	var text string
	if raw[0] != '"' || json.Unmarshal(raw, &text) != nil {
		return &problem.FieldError{Field: name, Code: "type", Message: problem.Textf("%s must be a string.", "%s 的类型应为字符串。", name)}
	}
	found[name] = text
	return nil
}
