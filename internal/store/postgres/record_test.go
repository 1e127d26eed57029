package postgres

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

func drawEntry(t *rapid.T) state.Entry {
	return state.Entry{
		Seq: rapid.Uint64().Draw(t, "seq"), Ord: rapid.Uint64().Draw(t, "ord"),
		Type: state.ActionType(rapid.Int32Min(0).Draw(t, "type")), Time: rapid.Int64().Draw(t, "time"),
		MsgHash: rapid.Uint64().Draw(t, "hash"), Verdict: state.Verdict(rapid.Byte().Draw(t, "verdict")),
		Reason: state.Reason(rapid.Byte().Draw(t, "reason")), Until: rapid.Int64().Draw(t, "until"),
		Late: rapid.Bool().Draw(t, "late"), Gap: rapid.Bool().Draw(t, "gap"), Override: rapid.Bool().Draw(t, "override"),
	}
}

func TestTimelinesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := state.Timeline(rapid.SliceOfN(rapid.Custom(drawEntry), 0, 20).Draw(t, "timeline"))
		b := encodeTimeline(want)
		got, err := decodeTimeline(b)
		if err != nil || len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, %v; want %+v", got, err, want)
		}
		for n := range b {
			if _, err := decodeTimeline(b[:n]); err == nil {
				t.Fatalf("with %d of %d bytes it is read", n, len(b))
			}
		}
	})
}

func TestAttemptsComeBack(t *testing.T) {
	want := attempts{
		{At: time.UnixMilli(1), Duration: 52 * time.Millisecond, Errcode: new(0), Errmsg: "ok", RID: "rid", Scope: "ok", Replay: 7},
		{At: time.UnixMilli(2), Errcode: new(-1)},
		{At: time.UnixMilli(3), Unknown: true},
	}
	var got attempts
	if err := json.Unmarshal([]byte(encodeAttempts(want)), &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

// FuzzRecords reads any bytes as any record: an error at worst.
func FuzzRecords(f *testing.F) {
	s := &Store{}
	w := state.Waybill{DeliveryID: "SF", WaybillID: "1"}
	f.Add(encodeTimeline(state.Timeline{{Seq: 1, Verdict: state.Accepted}}))
	f.Add(codec.AppendTokens(nil, []store.TokenRecord{{At: 1, Value: "T"}}))
	f.Add([]byte{timelineVersion, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{sealedTokens})
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := decodeTimeline(b); err == nil && len(got) > len(b) {
			t.Errorf("%d entries of %d bytes", len(got), len(b))
		}
		if tokens, err := s.openTokens(w, b); err == nil && len(tokens) > codec.MaxTokens {
			t.Errorf("%d Tokens", len(tokens))
		}
		_, _ = decodeAccount(b)
		var list attempts
		_ = json.Unmarshal(b, &list)
	})
}

// TestSlotsStay pins which node a waybill belongs to, for nodes of different versions; and no slot has many more than
// others.
func TestSlotsStay(t *testing.T) {
	for w, want := range map[state.Waybill]int16{
		{DeliveryID: "SF", WaybillID: "1"}: 159, {DeliveryID: "SF", WaybillID: "SF1234567890"}: 243, {DeliveryID: "S", WaybillID: "F1"}: 229,
	} {
		if got := slotOf(w); got != want {
			t.Errorf("%s is in slot %d, want %d", w, got, want)
		}
	}
	const each = 400
	var counts [slots]int
	for n := range slots * each {
		counts[slotOf(state.Waybill{DeliveryID: "SF", WaybillID: string(rune('a'+n%26)) + time.Unix(int64(n), 0).Format("150405.02")})]++
	}
	for slot, n := range counts {
		if n < each/2 || n > each*2 {
			t.Errorf("slot %d has %d of %d waybills", slot, n, slots*each)
		}
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"签收": "签收", "": "", "a\x00b": "a b", "a\xffb": "a\uFFFDb",
	} {
		if got := text(in); got != want {
			t.Errorf("text(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestTokensStayWithTheirWaybill seals Tokens and moves them to another waybill.
func TestTokensStayWithTheirWaybill(t *testing.T) {
	o := testOptions(t)
	o.TokenKeys = [][]byte{bytes.Repeat([]byte{1}, 32)}
	s := openStore(t, o)
	w, other := state.Waybill{DeliveryID: "SF", WaybillID: "1"}, state.Waybill{DeliveryID: "SF", WaybillID: "2"}
	if _, err := s.PutToken(t.Context(), w, "SECRET", store.Act{}); err != nil {
		t.Fatal(err)
	}
	var kept []byte
	if err := s.pool.QueryRow(t.Context(), "SELECT tokens FROM waybills").Scan(&kept); err != nil || bytes.Contains(kept, []byte("SECRET")) {
		t.Errorf("kept is %q, %v", kept, err)
	}
	if got, err := s.openTokens(w, kept); err != nil || len(got) != 1 || got[0].Value != "SECRET" {
		t.Errorf("opened: %v, %v", got, err)
	}
	if got, err := s.openTokens(other, kept); err == nil {
		t.Errorf("opened as another waybill's: %v", got)
	}
}
