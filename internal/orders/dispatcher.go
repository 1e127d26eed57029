package orders

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

// Events that a dispatch system is asked about, by WeChat's names.
const (
	AddWaybill    = "add_waybill"
	CancelWaybill = "cancel_waybill"
	CheckBiz      = "check_biz"
	GetQuota      = "get_quota"
)

// Dispatcher is the dispatch system, however it is reached. It is safe for concurrent use.
type Dispatcher interface {
	// Ask puts a question and waits for its answer, until ctx ends. ErrNobody says that no dispatch system is there
	// to be asked, ErrNotAsked that one may be there and was surely not asked. With any other error it may have been
	// asked and have acted, and no usable answer came. An error says what to do about it, and holds nothing of the
	// question.
	Ask(ctx context.Context, q Question) (Answer, error)
}

// ErrNobody says that there is no dispatch system: the default rules hold.
var ErrNobody = errors.New("no dispatch system is configured")

// ErrNotAsked says that the dispatch system could not be reached, and that the question has surely not left. Another way
// to it may be tried. The default rules don't hold: there may be one that would refuse.
var ErrNotAsked = errors.New("the dispatch system could not be asked")

// Question is what a dispatch system is asked. It prints without its body.
type Question struct {
	// ID is the same for every sending of one push of WeChat's that orders or cancels, and another for every other: a
	// dispatch system that remembers it never makes two waybills of one order.
	ID         string
	DeliveryID string
	Event      string // One of the constants above.
	// Body is to be written as JSON. It holds personal data and a password: it must be sent, and not be kept or logged.
	Body any
}

// String names the question.
func (q Question) String() string { return fmt.Sprintf("%s %s of %s", q.Event, q.ID, q.DeliveryID) }

// Format writes String for every verb.
func (q Question) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, q.String()) }

// LogValue names the question in logs.
func (q Question) LogValue() slog.Value { return slog.StringValue(q.String()) }

// Answer is what a dispatch system said.
type Answer struct {
	Code        int               // One of the documents' result codes; 0 is a yes.
	Msg         string            // Shown to the merchant if Code isn't 0.
	WaybillID   string            // Of add_waybill.
	WaybillData map[string]string // Of add_waybill: what is printed on the label.
	Quota       int64             // Of check_biz and get_quota: waybills left.
}

// First asks one dispatch system after another, until one is reached.
type First []Dispatcher

// Ask asks the next one only if the one before was surely not asked (ErrNobody, ErrNotAsked): one that was may have
// acted. With nobody left, one that could not be asked counts for more than one that is not there.
func (f First) Ask(ctx context.Context, q Question) (Answer, error) {
	last := ErrNobody
	for _, d := range f {
		answer, err := d.Ask(ctx, q)
		switch {
		case errors.Is(err, ErrNotAsked):
			last = err
		case !errors.Is(err, ErrNobody):
			return answer, err
		}
	}
	return Answer{}, last
}

// nobody is the dispatch system of an account that has none.
type nobody struct{}

func (nobody) Ask(context.Context, Question) (Answer, error) { return Answer{}, ErrNobody }
