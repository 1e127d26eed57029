package store_test

import (
	"errors"
	"slices"
	"testing"

	. "carrier/internal/store"
)

func TestPushRecordTellsWhatATokenChanges(t *testing.T) {
	for _, c := range []struct {
		name          string
		p             PushRecord
		lacks, unsent bool
	}{
		{"pending", PushRecord{Status: Pending}, false, true},
		{"waits for a Token", PushRecord{Status: Pending, TokenUntil: 1}, true, true},
		{"its Token was refused", PushRecord{Status: Pending, Refusals: 1}, true, true},
		{"no Token came", PushRecord{Status: Failed, Reason: ReasonNoToken}, true, true},
		{"its Token was refused for good", PushRecord{Status: Failed, Reason: ReasonToken}, true, true},
		{"nobody ordered it", PushRecord{Status: Discarded, Reason: ReasonUnknown}, true, true},
		{"refused", PushRecord{Status: Failed, Reason: ReasonRefused}, false, false},
		{"an operator discarded it", PushRecord{Status: Discarded, Reason: ReasonOperator}, false, false},
		{"delivered", PushRecord{Status: Delivered, Refusals: 1}, false, false},
		{"no push", PushRecord{}, false, false},
	} {
		if lacks, unsent := c.p.LacksToken(), c.p.Unsent(); lacks != c.lacks || unsent != c.unsent {
			t.Errorf("%s: it lacks a Token: %v, it is unsent: %v; want %v, %v", c.name, lacks, unsent, c.lacks, c.unsent)
		}
	}
}

func TestPushRecordNotesAttempts(t *testing.T) {
	p := PushRecord{Replay: 7}
	if p.Errcode() != nil || p.LastErrcode() != 0 {
		t.Errorf("without an attempt: %v", p.LastErrcode())
	}
	var kept []Attempt
	for code := range MaxAttempts + 3 {
		p.Note(Attempt{Errcode: new(code)})
		if code == 1 {
			kept = slices.Clone(p.Attempts)
			before := p // What has a copy must not change with it.
			before.Note(Attempt{Errcode: new(-1)})
		}
	}
	if got := p.Attempts; len(got) != MaxAttempts || *got[0].Errcode != 3 || got[0].Replay != 7 || p.LastErrcode() != MaxAttempts+2 {
		t.Errorf("%d attempts are kept, from %v on", len(got), got[0])
	}
	if *kept[1].Errcode != 1 || *p.Errcode() != MaxAttempts+2 {
		t.Errorf("noted: %v", p.Attempts)
	}
	p.Note(Attempt{})
	if p.Errcode() != nil || p.LastErrcode() != 0 {
		t.Error("an attempt without an answer has an errcode")
	}
}

func TestPushRecordMayBeReplayed(t *testing.T) {
	for _, c := range []struct {
		status Status
		force  bool
		want   bool
	}{
		{Pending, false, false}, {Pending, true, false}, {Delivered, false, false}, {Delivered, true, true},
		{Failed, false, true}, {Discarded, false, true}, {Discarded, true, true},
	} {
		p := PushRecord{Status: c.status}
		if err := p.MayReplay(c.force); (err == nil) != c.want || err != nil && !errors.Is(err, ErrState) {
			t.Errorf("%s, forced %v: %v", c.status, c.force, err)
		}
	}
}
