package codec

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"carrier/internal/state"
	"carrier/internal/store"
)

// TestBytes pins what is written: it is on disks.
func TestBytes(t *testing.T) {
	e := state.Entry{
		Seq: 9, Ord: 300, Type: 200001, Time: 1_700_000_000, MsgHash: 0x0102030405060708, Verdict: state.Held,
		Reason: state.MissingScan, Until: 5, Late: true, Override: true,
	}
	for _, c := range []struct {
		name      string
		got, want []byte
	}{
		{"a string", AppendString(nil, "签收"), []byte("\x06签收")},
		{"a moment", AppendTime(nil, time.UnixMilli(1_700_000_000_123)), []byte("\xf6\xa1\xab\xfe\xf9\x62")},
		{"no moment", AppendTime(nil, time.Time{}), []byte{0}},
		{"a verdict", AppendVerdict(nil, &e), []byte{byte(state.Held), byte(state.MissingScan), 1 | 4}},
		{"a place", AppendPlace(nil, &e), []byte("\xac\x02\xc1\x9a\x0c\x80\xc4\x9f\xd5\x0c\x0a\x01\x02\x03\x04\x05\x06\x07\x08")},
		{"Tokens", AppendTokens(nil, []store.TokenRecord{{At: 3, Value: "B"}, {At: 1, Value: "A"}}), []byte("\x01\x02\x06\x01B\x02\x01A")},
	} {
		if !bytes.Equal(c.got, c.want) {
			t.Errorf("%s is written as %q, want %q", c.name, c.got, c.want)
		}
	}
}

// TestFieldsComeBack reads what was written, and sees that no record that was cut is taken for a whole one.
func TestFieldsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, at := rapid.String().Draw(t, "text"), FromMillis(rapid.Int64Range(0, 1<<45).Draw(t, "at"))
		e := state.Entry{
			Ord: rapid.Uint64().Draw(t, "ord"), Type: state.ActionType(rapid.Int32Min(0).Draw(t, "type")),
			Time: rapid.Int64().Draw(t, "time"), MsgHash: rapid.Uint64().Draw(t, "hash"), Verdict: state.Verdict(rapid.Byte().Draw(t, "verdict")),
			Reason: state.Reason(rapid.Byte().Draw(t, "reason")), Until: rapid.Int64().Draw(t, "until"),
			Late: rapid.Bool().Draw(t, "late"), Gap: rapid.Bool().Draw(t, "gap"), Override: rapid.Bool().Draw(t, "override"),
		}
		b := AppendTime(AppendString([]byte{7}, text), at)
		b = AppendPlace(AppendVerdict(b, &e), &e)
		read := func(b []byte) (gotText string, gotAt time.Time, got state.Entry, err error) {
			r := Open(b, 7)
			gotText, gotAt = r.Text(), r.Time()
			r.Verdict(&got)
			r.Place(&got)
			return gotText, gotAt, got, r.End()
		}
		gotText, gotAt, got, err := read(b)
		if err != nil || gotText != text || !gotAt.Equal(at) || got != e {
			t.Fatalf("%q, %v, %+v, %v; want %q, %v, %+v", gotText, gotAt, got, err, text, at, e)
		}
		for n := range b {
			if _, _, _, err := read(b[:n]); !errors.Is(err, ErrRecord) {
				t.Fatalf("with %d of %d bytes: %v", n, len(b), err)
			}
		}
		if _, _, _, err := read(append(b, 0)); !errors.Is(err, ErrRecord) {
			t.Fatalf("with a byte more: %v", err)
		}
	})
}

func TestOtherVersion(t *testing.T) {
	r := Open([]byte{2, 1}, 1)
	if n := r.Uint(); n != 0 || !errors.Is(r.Err(), ErrRecord) || !errors.Is(r.End(), ErrRecord) {
		t.Errorf("of another version: %d, %v, %v", n, r.Err(), r.End())
	}
}

// TestCount sees that a record asks for no more room than it may.
func TestCount(t *testing.T) {
	for _, c := range []struct {
		name  string
		bytes []byte
		want  int
		fails bool
	}{
		{"none", []byte{0}, 0, false},
		{"as many as there may be", []byte{3}, 3, false},
		{"one more", []byte{4}, 0, true},
		{"more than any number", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, 0, true},
		{"nothing", nil, 0, true},
	} {
		r := Reader{Rest: c.bytes}
		if got := r.Count(3); got != c.want || (r.Err() != nil) != c.fails {
			t.Errorf("%s: %d, %v", c.name, got, r.Err())
		}
	}
}

func TestTokens(t *testing.T) {
	var tokens []store.TokenRecord
	for at := range int64(MaxTokens + 2) {
		tokens = RememberToken(store.TokenRecord{At: at + 1, Value: string(rune('a' + at))}, tokens)
	}
	if len(tokens) != MaxTokens || tokens[0].At != MaxTokens+2 || tokens[MaxTokens-1].At != 3 {
		t.Errorf("remembered: %v", tokens)
	}
	record := AppendTokens(nil, tokens)
	if got, err := Tokens(record); err != nil || !reflect.DeepEqual(got, tokens) {
		t.Errorf("%v, %v; want %v", got, err, tokens)
	}
	record[1]++
	if got, err := Tokens(record); err == nil {
		t.Errorf("with one too many: %v", got)
	}
}
