package pebble

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

func drawEvent(t *rapid.T) state.Event {
	return state.Event{
		ID: rapid.String().Draw(t, "id"), Source: rapid.String().Draw(t, "source"),
		DeliveryID: rapid.String().Draw(t, "delivery"), WaybillID: rapid.String().Draw(t, "waybill"),
		Type: state.ActionType(rapid.Int32Min(0).Draw(t, "type")), Time: rapid.Int64().Draw(t, "time"),
		Msg: rapid.String().Draw(t, "msg"),
	}
}

func drawAttempt(t *rapid.T) store.Attempt {
	a := store.Attempt{
		At: codec.FromMillis(rapid.Int64Range(1, 1<<45).Draw(t, "at")), Duration: time.Duration(rapid.Int64().Draw(t, "duration")),
		Errmsg: rapid.String().Draw(t, "errmsg"), RID: rapid.String().Draw(t, "rid"), Scope: rapid.String().Draw(t, "scope"),
		Unknown: rapid.Bool().Draw(t, "unknown"), Replay: rapid.Uint64().Draw(t, "replay"),
	}
	if rapid.Bool().Draw(t, "answered") {
		a.Errcode = new(rapid.Int().Draw(t, "errcode"))
	}
	a.Breaker = store.Breaker(rapid.Uint8Max(uint8(store.BreakerOpen)).Draw(t, "breaker"))
	a.Fallback = rapid.String().Draw(t, "fallback")
	a.AccessTokenAt = codec.FromMillis(rapid.Int64Range(0, 1<<45).Draw(t, "access_token_at"))
	a.TokenAt = codec.FromMillis(rapid.Int64Range(0, 1<<45).Draw(t, "token_at"))
	return a
}

func TestRecordsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := eventRecord{
			event: drawEvent(t), receivedAt: rapid.Int64().Draw(t, "received"), first: state.Held,
			reason: state.BehindHeld, flags: rapid.Byte().Draw(t, "flags"),
		}
		if e.flags&flagTraced != 0 {
			e.event.Trace = traceparent
		}
		if e.flags&flagWhy != 0 {
			e.from, e.cause = state.InTransit, rapid.Uint64().Draw(t, "cause")
			e.allowed = rapid.SliceOfN(rapid.SampledFrom(state.ActionTypes[:]), 0, len(state.ActionTypes)).Draw(t, "allowed")
		}
		if got, err := decodeEvent(encodeEvent(nil, &e, encodeBody(nil, &e.event))); err != nil || !reflect.DeepEqual(got, e) {
			t.Fatalf("event: %+v, %v; want %+v", got, err, e)
		}
		entry := state.Entry{
			Seq: rapid.Uint64().Draw(t, "seq"), Ord: rapid.Uint64().Draw(t, "ord"), Type: e.event.Type, Time: e.event.Time,
			MsgHash: rapid.Uint64().Draw(t, "hash"), Verdict: state.Accepted, Reason: state.RepeatsStage,
			Until: rapid.Int64().Draw(t, "until"), Late: rapid.Bool().Draw(t, "late"), Gap: rapid.Bool().Draw(t, "gap"),
			Override: rapid.Bool().Draw(t, "override"),
		}
		if got, err := decodeEntry(entry.Seq, encodeEntry(nil, &entry)); err != nil || got != entry {
			t.Fatalf("entry: %+v, %v; want %+v", got, err, entry)
		}
		p := pushRecord{PushRecord: store.PushRecord{
			Status: store.Failed, TokenUntil: rapid.Int64().Draw(t, "token"),
			Ord: entry.Ord, Tries: rapid.IntMin(0).Draw(t, "tries"), Refusals: rapid.IntMin(0).Draw(t, "refusals"),
			Used: time.Duration(rapid.Int64().Draw(t, "used")), NextAt: rapid.Int64().Draw(t, "next"),
			DoneAt: rapid.Int64().Draw(t, "done"), VerifiedAt: rapid.Int64().Draw(t, "verified"), Reason: rapid.String().Draw(t, "reason"),
			Ends: rapid.IntRange(0, 3).Draw(t, "ends"),
		}, queued: rapid.Bool().Draw(t, "queued")}
		if rapid.Bool().Draw(t, "replayed") {
			p.OpenedAt, p.Replay, p.Bulk = 1, rapid.Uint64Min(1).Draw(t, "replay"), rapid.Bool().Draw(t, "bulk")
		}
		for range rapid.IntRange(0, store.MaxAttempts).Draw(t, "attempts") {
			p.Attempts = append(p.Attempts, drawAttempt(t))
		}
		got, err := decodePush(encodePush(nil, &p))
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Fatalf("push: %+v, %v; want %+v", got, err, p)
		}
		n := noticeRecord{
			at: p.DoneAt, seq: entry.Seq, status: p.Status, nth: p.Ends, tries: p.Tries, errcode: rapid.Int().Draw(t, "errcode"),
			replay: p.Replay, reason: p.Reason,
		}
		if got, err := decodeNotice(encodeNotice(nil, &n)); err != nil || got != n {
			t.Fatalf("notice: %+v, %v; want %+v", got, err, n)
		}
		n = noticeRecord{at: p.DoneAt, difference: rapid.StringN(1, -1, -1).Draw(t, "difference")}
		if got, err := decodeNotice(encodeNotice(nil, &n)); err != nil || got != n {
			t.Fatalf("notice: %+v, %v; want %+v", got, err, n)
		}
	})
}

// TestRecordsOfFormat3 reads rows as they were written before format 4, and sees that rows that have nothing new in them
// are still written so.
func TestRecordsOfFormat3(t *testing.T) {
	const event = "\x01\x01\x00\x04\x02\xa1\x8d\x06\x04\x02SF\x011\x03app\x011\x01m\x00\x00\x00\x00"
	row := addSum([]byte(event[:len(event)-4]), 0)
	rec, err := decodeEvent(row)
	if err != nil || rec.event.Msg != "m" || rec.event.Trace != "" || rec.flags != flagNatural {
		t.Errorf("event: %+v, %v", rec, err)
	}
	if got := encodeEvent(nil, &rec, encodeBody(nil, &rec.event)); !bytes.Equal(got, row) {
		t.Errorf("event: %q is written as %q", row, got)
	}
	const account = "\x01\x01\x01x\x02\x00\x00\x01\x02"
	kept, err := decodeAccount([]byte(account))
	if err != nil || !kept.Paused || kept.Reason != "x" || len(kept.ForcedAt) != 1 || kept.Quota != (store.Quota{}) {
		t.Errorf("account: %+v, %v", kept, err)
	}
	if got := encodeAccount(nil, &kept); string(got) != account {
		t.Errorf("account: %q is written as %q", account, got)
	}
	for _, c := range []struct {
		name, row string
		ends      int
	}{
		{"pending", "\x01\x01\x00\x01\x00\x00\x00\x00\x00\x00\x00", 0},
		{"delivered", "\x01\x02\x00\x01\x01\x00\x00\x00\x02\x00\x00", 1},
		{"failed", "\x01\x03\x00\x01\x01\x00\x00\x00\x02\x01x\x00", 1},
		{"discarded after a replay", "\x01\x04\x30\x01\x02\x01\x01\x00\x00\x00\x02\x00\x00", 1},
	} {
		rec, err := decodePush([]byte(c.row))
		if err != nil || rec.Ends != c.ends {
			t.Errorf("%s: %+v, %v; want %d ends", c.name, rec, err, c.ends)
		}
		if got := encodePush(nil, &rec); string(got) != c.row {
			t.Errorf("%s: %q is written as %q", c.name, c.row, got)
		}
	}
}

// TestEveryBitCounts sees that no altered event is taken for a whole one.
func TestEveryBitCounts(t *testing.T) {
	e := scanOf("1", 0)
	e.Token, e.Trace = "", traceparent
	rec := eventRecord{event: e, receivedAt: 1_800_000_000_000, first: state.Accepted, flags: flagNatural | flagTraced}
	whole := encodeEvent(nil, &rec, encodeBody(nil, &e))
	for i := range len(whole) * 8 {
		b := bytes.Clone(whole)
		b[i/8] ^= 1 << (i % 8)
		if got, err := decodeEvent(b); err == nil {
			t.Fatalf("with bit %d flipped it is read as %+v", i, got)
		}
	}
	for n := range whole {
		if _, err := decodeEvent(whole[:n]); err == nil {
			t.Fatalf("with %d of %d bytes it is read", n, len(whole))
		}
	}
}

// FuzzRecords reads any bytes as any record: an error at worst.
func FuzzRecords(f *testing.F) {
	e := scanOf("1", 0)
	f.Add(encodeEvent(nil, &eventRecord{event: e}, encodeBody(nil, &e)))
	e.Trace = traceparent
	f.Add(encodeEvent(nil, &eventRecord{event: e, flags: flagTraced}, encodeBody(nil, &e)))
	f.Add(encodeNotice(nil, &noticeRecord{at: 1, seq: 1, nth: 1, reason: store.ReasonRefused}))
	f.Add(encodeNotice(nil, &noticeRecord{at: 1, difference: "{}"}))
	f.Add(encodePush(nil, &pushRecord{PushRecord: store.PushRecord{Status: store.Failed, Attempts: []store.Attempt{{Errcode: new(1)}}}}))
	f.Add(encodeEntry(nil, &state.Entry{Seq: 1, Verdict: state.Accepted}))
	keys := mustKeys(f, 1)
	f.Add(codec.AppendTokens(nil, []store.TokenRecord{{At: 1, Value: "T"}}))
	f.Add(sealTokens(keys, nil, []byte("kSF\x001"), []store.TokenRecord{{At: 1, Value: "T"}}))
	f.Add(encodeOrder(nil, &orderRecord{Order: store.Order{WaybillID: "1", ResultCode: -1, ReceivedAt: time.Unix(1, 0)}, number: 7}))
	f.Add(encodeShown(nil, &shownRecord{store.Shown{Version: 3, ReceivedAt: time.Unix(1, 0), Actions: []store.ShownAction{{Time: 1, Type: 300001, Msg: "x"}}}, 5}))
	f.Add(encodeAccount(nil, &store.Account{ForcedAt: []time.Time{time.UnixMilli(1)}}))
	f.Add(encodeAccount(nil, &store.Account{Quota: store.Quota{Day: time.UnixMilli(1), Used: 1, Limit: 2, Waived: true}}))
	f.Add(encodeBlock(nil, &block{flagFrozen, 1, store.Hold{Since: time.UnixMilli(1), By: "ops", Reason: "customs"}}))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		if rec, err := decodeEvent(b); err == nil {
			if again, err := decodeEvent(encodeEvent(nil, &rec, encodeBody(nil, &rec.event))); err != nil || !reflect.DeepEqual(again, rec) {
				t.Errorf("%+v is written and read as %+v, %v", rec, again, err)
			}
		}
		if rec, err := decodePush(b); err == nil && len(rec.Attempts) > store.MaxAttempts {
			t.Errorf("%d attempts", len(rec.Attempts))
		}
		if rec, err := decodeShown(b); err == nil {
			if again, err := decodeShown(encodeShown(nil, &rec)); err != nil || !reflect.DeepEqual(again, rec) {
				t.Errorf("%+v is written and read as %+v, %v", rec, again, err)
			}
		}
		_, _ = decodeEntry(1, b)
		_, _ = decodeNotice(b)
		_, _ = codec.Tokens(b)
		_, _ = openTokens(keys, []byte("kSF\x001"), b)
		_, _ = tokensAt(b)
		_, _ = decodeOrder([]byte("oSF\x00B\x001"), b)
		_, _ = decodeOrder(b, b)
		_, _ = decodeAccount(b)
		_, _, _ = decodeID(b)
		_, _, _, _ = pushState(b)
		_, _ = parseWaybill(b)
		_, _ = keySeq(b), keyDeadline(b)
		c := newCounters()
		_ = c.load(string(b), b)
	})
}

func TestKeysKeepTheirOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Uint64().Draw(t, "a"), rapid.Uint64().Draw(t, "b")
		if (a < b) != (bytes.Compare(seqKey(nil, tableEvents, a), seqKey(nil, tableEvents, b)) < 0) {
			t.Fatalf("%d and %d", a, b)
		}
		ms := rapid.Int64Min(0).Draw(t, "ms")
		key := deadlineKey(nil, tableHeld, ms, a)
		if keySeq(key) != a || keyDeadline(key) != ms {
			t.Fatalf("the key of %d at %d is read as %d at %d", a, ms, keySeq(key), keyDeadline(key))
		}
		name := rapid.StringMatching(`[!-~]{1,20}`)
		w := state.Waybill{DeliveryID: name.Draw(t, "delivery"), WaybillID: name.Draw(t, "waybill")}
		if got, ok := parseWaybill(putWaybill(nil, w)); !ok || got != w {
			t.Fatalf("%s is read as %s", w, got)
		}
		longer := w
		longer.WaybillID += "0"
		if prefix := timelinePrefix(nil, w); bytes.HasPrefix(timelineKey(nil, longer, a), prefix) {
			t.Fatalf("the timeline of %s shows in that of %s", longer, w)
		} else if end := after(prefix); bytes.Compare(timelineKey(nil, w, 1<<64-1), end) >= 0 {
			t.Fatalf("the timeline of %s ends too early", w)
		}
	})
}
