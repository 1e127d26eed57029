package orders

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"carrier/internal/callback"
	"carrier/internal/problem"
	"carrier/internal/spans"
	"carrier/internal/store"
)

var errSlow = fmt.Errorf("not done within the %s that WeChat waits for", answerWithin)

// Callback answers one request to an account's address: GET is WeChat's check of it, POST a push. A *problem.Problem
// tells what is to be answered instead.
//
//	404  no such account, or its pushes are not taken
//	413  the body is larger than callback.MaxBodyBytes
//	401  not WeChat's, by callback.Keys; or not fresh; or the same signature with another body
//	500  the store has trouble, or it took too long: WeChat sends it again
//	200  anything else
func (s *Service) Callback(w http.ResponseWriter, r *http.Request, deliveryID string) error {
	a := (*s.accounts.Load())[deliveryID]
	if a == nil {
		s.observe("", "", Unknown)
		return problem.New(problem.NotFound)
	}
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodPost {
		return s.verify(w, r, a)
	}
	ctx, cancel := context.WithTimeoutCause(r.Context(), answerWithin, errSlow)
	defer cancel()
	body, err := readBody(w, r)
	if err != nil {
		s.observe(a.id, "", Unreadable)
		return err
	}
	m, err := a.keys.Open(r.URL.RawQuery, body, time.Now())
	if err != nil {
		return s.refused(a, err)
	}
	return s.take(ctx, w, r, push{a, m})
}

// verify answers the check that WeChat makes when the settings of its message push are saved.
func (s *Service) verify(w http.ResponseWriter, r *http.Request, a *account) error {
	echostr, err := a.keys.Verify(r.URL.RawQuery, time.Now())
	if err != nil {
		return s.refused(a, err)
	}
	s.observe(a.id, "", Verified)
	return send(w, callback.Response{ContentType: "text/plain; charset=utf-8", Body: []byte(echostr)})
}

// readBody reads the body as fast as the answer has to follow.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Now().Add(answerWithin)) // Where there is a connection.
	defer func() { _ = conn.SetReadDeadline(time.Time{}) }()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, callback.MaxBodyBytes))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, problem.New(problem.BodyTooLarge).Sayf("A push may have at most %d bytes.", "推送内容最多 %d 字节。", callback.MaxBodyBytes)
	}
	if err != nil {
		return nil, problem.New(problem.UnreadableBody).Because(err)
	}
	return body, nil
}

// refused answers what is no push of WeChat's: the same whatever is wrong with it, so that nothing can be learned by
// trying.
func (s *Service) refused(a *account, err error) error {
	result := Forged
	switch {
	case errors.Is(err, callback.ErrStale):
		result = Stale
	case errors.Is(err, errReplayed):
		result = Replayed
	case errors.Is(err, callback.ErrMalformed):
		result = Unreadable
	}
	s.observe(a.id, "", result)
	if withheld, ok := a.noise.next(time.Now()); ok {
		s.log.Warn("a push was refused that should be WeChat's", "delivery_id", a.id, "result", result, "err", err, "withheld", withheld)
	}
	return problem.New(problem.Unauthorized).Say("This is no push of WeChat's for this account, or it is too old.", "不是微信对该账号的推送，或已过期。")
}

var errReplayed = errors.New("the signature came before, with another body; if that was WeChat, choose 安全模式 in its message push settings")

// take deals with a push that is WeChat's.
func (s *Service) take(ctx context.Context, w http.ResponseWriter, r *http.Request, p push) error {
	// Its timestamp may lie ahead by as much as it may lie back: fresh it can be for twice that.
	allowed, err := s.desk.store.FirstUse(ctx, p.message.ReplayKey, p.message.Digest, time.Now().Add(2*p.account.window))
	if err != nil {
		return s.again(w, r, p, err)
	}
	if !allowed {
		return s.refused(p.account, errReplayed)
	}
	ctx, span := s.beginSpan(ctx, &p)
	defer span.End()
	answer, result, err := s.answer(ctx, p)
	if err != nil {
		span.Fail(Failed)
		return s.again(w, r, p, err)
	}
	span.Set(spans.Result(result))
	s.observe(p.account.id, eventLabel(p.message), result)
	return send(w, answer)
}

// answer finds what a push is answered. An error means that nothing may be: WeChat is to send it again.
func (s *Service) answer(ctx context.Context, p push) (answer callback.Response, result string, err error) {
	if take := p.account.other; take != nil {
		return callback.Success(), Accepted, take(ctx, p.message)
	}
	event, err := p.message.Decode()
	fault, _ := errors.AsType[*callback.Fault](err)
	var r reply
	var words callback.Reply
	switch e := event.(type) {
	case *callback.AddWaybill:
		r, err = s.unless(fault, func() (reply, error) { return s.desk.add(ctx, p.account, p.order(e)) })
		words = addReply(e, &r)
	case *callback.CancelWaybill:
		r, err = s.unless(fault, func() (reply, error) { return s.desk.cancel(ctx, p.account, p.cancellation(e)) })
		words = e.Reply(r.code, r.msg)
	case *callback.CheckBiz:
		r, err = s.unless(fault, func() (reply, error) { return s.desk.relay(ctx, p.account, p.checkQuestion(e), e.BizPwd.Reveal()), nil })
		words = e.Reply(r.code, r.msg, r.quota)
	case *callback.GetQuota:
		r, err = s.unless(fault, func() (reply, error) { return s.desk.relay(ctx, p.account, p.quotaQuestion(e), e.BizPwd.Reveal()), nil })
		words = e.Reply(r.code, r.msg, r.quota)
	case *callback.AddExpressPath:
		result, err = s.show(ctx, p.account, e, fault)
		return callback.Success(), result, err
	default: // What is not known: there is nothing to tell WeChat.
		return callback.Success(), Accepted, nil
	}
	if err != nil {
		return callback.Response{}, "", err
	}
	attrs := []any{"delivery_id", p.account.id, "push", event, "result", r.result(), "result_code", int(r.code),
		"given_waybill_id", r.waybillID, "fault", faultText(fault), "previous_key", p.message.PreviousKey}
	s.log.Info("a push of WeChat's was answered", spans.Log(attrs, spans.Traceparent(ctx))...)
	spans.FromContext(ctx).Set(spans.ResultCode(int(r.code)), spans.WaybillID(r.waybillID))
	answer, err = p.message.Reply(words, time.Now())
	return answer, r.result(), err
}

// unless refuses a message with a fault, and does the work for any other.
func (s *Service) unless(fault *callback.Fault, work func() (reply, error)) (reply, error) {
	if fault != nil {
		return refuse(fault.Code, textUnfit+": "+fault.Error()), nil
	}
	return work()
}

func faultText(f *callback.Fault) string {
	if f == nil {
		return ""
	}
	return f.Error()
}

func (p *push) order(e *callback.AddWaybill) order {
	return order{
		OrderKey: p.key(e.BizID, e.OrderID), token: e.Token.Reveal(), waybillID: e.WayBillID, shopAppID: e.ShopAppID,
		question: p.addQuestion(e), bizPwd: e.BizPwd.Reveal(),
	}
}

func (p *push) cancellation(e *callback.CancelWaybill) cancellation {
	q := p.cancelQuestion(e)
	return cancellation{
		OrderKey: p.key(e.BizID, e.OrderID), waybillID: e.WayBillID, eventID: q.ID, at: actionTime(p.message.CreateTime, time.Now()),
		question: q, bizPwd: e.BizPwd.Reveal(),
	}
}

// actionTime is a push's CreateTime as the time of a local event. A clock that is far off doesn't get into a timeline.
func actionTime(createTime int64, now time.Time) int64 {
	if createTime > now.Unix() || createTime < now.Add(-24*time.Hour).Unix() {
		return now.Unix()
	}
	return createTime
}

func (p *push) key(bizID, orderID string) store.OrderKey {
	return store.OrderKey{DeliveryID: p.account.id, BizID: bizID, OrderID: orderID}
}

// addReply is the reply to an order: with the waybill's number if it was taken.
func addReply(e *callback.AddWaybill, r *reply) callback.Reply {
	words := e.Reply(r.code, r.msg)
	if r.code == callback.OK {
		words.WayBillID, words.WaybillData = r.waybillID, labelFields(r.data)
	}
	return words
}

// again tells WeChat to send a push once more: never "success", and no result code, for what is not durable.
func (s *Service) again(w http.ResponseWriter, r *http.Request, p push, err error) error {
	s.observe(p.account.id, eventLabel(p.message), Failed)
	if withheld, ok := p.account.trouble.next(time.Now()); ok {
		s.log.Error("a push of WeChat's could not be dealt with; WeChat sends it again, three times in all",
			"delivery_id", p.account.id, "event", eventLabel(p.message), "err", err, "withheld", withheld)
	}
	return problem.New(problem.Internal).Say("The push could not be dealt with for now. Send it again.", "推送暂未处理成功，请重新推送。").Write(w, r)
}

// eventLabel is an event's name for metrics: a stranger to this service, or to anybody, is "other".
func eventLabel(m *callback.Message) string {
	switch m.Event {
	case AddWaybill, CancelWaybill, CheckBiz, GetQuota, addExpressPath:
		return m.Event
	}
	return "other"
}

// addExpressPath is WeChat's news of a waybill for merchants' own mini programs.
const addExpressPath = "add_express_path"

func send(w http.ResponseWriter, answer callback.Response) error {
	w.Header().Set("Content-Type", answer.ContentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, err := w.Write(answer.Body)
	return err
}
