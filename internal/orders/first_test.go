package orders

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// answers is a dispatch system that says what it is told to.
type answers struct {
	waybill string
	err     error
	asked   int
}

func (a *answers) Ask(context.Context, Question) (Answer, error) {
	a.asked++
	return Answer{WaybillID: a.waybill}, a.err
}

func TestFirst(t *testing.T) {
	slow := errors.New("no answer in time")
	away := fmt.Errorf("%w: the connection is down", ErrNotAsked)
	further := fmt.Errorf("%w: that one, too", ErrNotAsked)
	tests := []struct {
		name    string
		first   answers
		second  answers
		want    string
		err     error
		further int // How often the second is asked.
	}{
		{"the first answers", answers{waybill: "A"}, answers{waybill: "B"}, "A", nil, 0},
		{"nobody is there", answers{err: ErrNobody}, answers{waybill: "B"}, "B", nil, 1},
		{"the first may have acted", answers{err: slow}, answers{waybill: "B"}, "", slow, 0},
		{"nobody anywhere", answers{err: ErrNobody}, answers{err: ErrNobody}, "", ErrNobody, 1},
		{"the first can't be reached", answers{err: away}, answers{waybill: "B"}, "B", nil, 1},
		{"neither can be reached", answers{err: away}, answers{err: further}, "", further, 1},
		{"one can't be reached, and nobody else is there", answers{err: away}, answers{err: ErrNobody}, "", away, 1},
		{"nobody is there, and the other can't be reached", answers{err: ErrNobody}, answers{err: away}, "", away, 1},
		{"the other may have acted", answers{err: away}, answers{err: slow}, "", slow, 1},
		{"the second fails", answers{err: ErrNobody}, answers{err: slow}, "", slow, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := First{&tt.first, &tt.second}.Ask(t.Context(), Question{})
			if got.WaybillID != tt.want || !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
				t.Errorf("got %q, %v; want %q, %v", got.WaybillID, err, tt.want, tt.err)
			}
			if tt.first.asked != 1 || tt.second.asked != tt.further {
				t.Errorf("asked %d and %d times, want 1 and %d", tt.first.asked, tt.second.asked, tt.further)
			}
		})
	}
}
