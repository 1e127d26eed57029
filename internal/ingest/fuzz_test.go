package ingest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"carrier/internal/state"
)

// standard is an event as encoding/json reads it, as strictly as it can.
type standard struct {
	ID         *string `json:"id"`
	DeliveryID *string `json:"delivery_id"`
	WaybillID  *string `json:"waybill_id"`
	ActionType *int64  `json:"action_type"`
	ActionTime *int64  `json:"action_time"`
	ActionMsg  *string `json:"action_msg"`
	Token      *string `json:"token"`
}

func decodeStandard(text []byte) (standard, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var s standard
	err := d.Decode(&s)
	return s, err
}

// asStandard is what our own decoder read, in the same form.
func (w *wire) asStandard() standard {
	var s standard
	text := func(f field, to **string) {
		if w.has&f != 0 {
			*to = new(string(*w.text(f)))
		}
	}
	text(fieldID, &s.ID)
	text(fieldDeliveryID, &s.DeliveryID)
	text(fieldWaybillID, &s.WaybillID)
	text(fieldActionMsg, &s.ActionMsg)
	text(fieldToken, &s.Token)
	if w.has&fieldActionType != 0 {
		s.ActionType = new(w.actionType)
	}
	if w.has&fieldActionTime != 0 {
		s.ActionTime = new(w.actionTime)
	}
	return s
}

// checkDecode holds our decoder against encoding/json: what ours takes, the other must take too, and mean the same.
// What only the other takes must be one of the things that ours refuses on purpose.
func checkDecode(t *testing.T, text []byte) {
	t.Helper()
	if readable(text) != nil {
		return
	}
	var w wire
	errs := decode(bytes.TrimSpace(text), &w)
	want, err := decodeStandard(text)
	switch {
	case len(errs) == 0 && err != nil:
		t.Errorf("we take what encoding/json refuses (%v): %s", err, text)
	case len(errs) == 0 && !reflect.DeepEqual(w.asStandard(), want):
		t.Errorf("%s\nwe read %+v", text, w)
	case len(errs) > 0 && err == nil:
		for _, e := range errs {
			switch e.Code {
			case "repeated_field", "lone_surrogate", "unknown_field": // The last by letter case.
			case "type": // null is as good as nothing to encoding/json.
				if !strings.Contains(e.Message.En, "null") {
					t.Errorf("we refuse %+v in %s", e, text)
				}
			default:
				t.Errorf("we refuse %+v in %s", e, text)
			}
		}
	}
}

func seedBodies() []string {
	seeds := []string{good(), noID(), "{}", "[]", `{"id":"\ud83d\ude00\u0041\n\\\"","id":"x"}`, `{"ID":"a","Id":"b"}`, `{"action_time":-0,"action_type":1e2}`}
	for i, c := range malformedCases() {
		if i%7 == 0 && len(c.body) < 2000 {
			seeds = append(seeds, c.body)
		}
	}
	return seeds
}

func TestDecodeAgainstEncodingJSON(t *testing.T) {
	for _, c := range malformedCases() {
		checkDecode(t, []byte(c.body))
	}
	for _, body := range seedBodies() {
		checkDecode(t, []byte(body))
	}
}

func FuzzEventBody(f *testing.F) {
	for _, s := range seedBodies() {
		f.Add([]byte(s), uint8(0))
	}
	f.Add([]byte(envelopeOf()), uint8(formatCloudEvent))
	f.Add([]byte(envelopeOf("data", "-", "data_base64", `"e30="`)), uint8(formatCloudEvent))
	r := testRules(f, "SF")
	s := &source{name: "s", known: []string{"SF"}}
	h := http.Header{"Ce-Id": {"a%20b"}, "Ce-Source": {"s"}, "Ce-Type": {"t"}, "Ce-Specversion": {"1.0"}}
	f.Fuzz(func(t *testing.T, body []byte, kind uint8) {
		before := bytes.Clone(body)
		got := r.read(body, format(kind%5), h, s, time.Now())
		if !bytes.Equal(before, body) {
			t.Error("the body was changed")
		}
		checkReading(t, &got)
		checkDecode(t, body)
	})
}

// checkReading checks what holds of every reading.
func checkReading(t *testing.T, got *reading) {
	t.Helper()
	if got.problem == nil {
		checkRules(t, &got.event)
		return
	}
	if got.event != (state.Event{}) {
		t.Errorf("a problem beside the event %+v", got.event)
	}
	if status := got.problem.Status(); status < 400 || status > 499 {
		t.Errorf("status %d", status)
	}
	if got.problem.Code == "invalid_event" && len(got.problem.Errors) == 0 {
		t.Error("invalid, and nothing is said why")
	}
	for _, text := range [][]byte{got.problem.JSON(0), got.problem.JSON(1)} {
		if !json.Valid(text) || !utf8.Valid(text) || len(text) > 16384 {
			t.Errorf("answer of %d bytes: %s", len(text), text)
		}
	}
}

func FuzzBatch(f *testing.F) {
	f.Add([]byte("["+good()+","+noID()+"]"), uint8(formatJSON))
	f.Add([]byte(good()+"\n\n"+noID()+"\r\n"), uint8(formatNDJSON))
	f.Add([]byte("["+envelopeOf()+",{}]"), uint8(formatCloudEventBatch))
	f.Add([]byte("[[],[[]],{},\"]\",\"\\\"]\"]"), uint8(formatJSON))
	r := testRules(f, "SF")
	s := &source{name: "s", known: []string{"SF"}}
	desk, present := &Desk{}, &terms{rules: r}
	kinds := []format{formatJSON, formatNDJSON, formatCloudEventBatch}
	f.Fuzz(func(t *testing.T, body []byte, kind uint8) {
		q := request{terms: present, source: s, format: kinds[int(kind)%len(kinds)], now: time.Now()}
		texts, p := split(body, q.format)
		if p != nil {
			if len(texts) > 0 || p.Status() >= 500 {
				t.Errorf("%d texts beside %v", len(texts), p)
			}
			return
		}
		if q.format != formatNDJSON {
			var want []json.RawMessage
			if err := json.Unmarshal(body, &want); err != nil || len(want) != len(texts) {
				t.Fatalf("split into %d, encoding/json into %d (%v): %s", len(texts), len(want), err, body)
			}
			for i := range want {
				if !bytes.Equal(want[i], texts[i]) {
					t.Errorf("element %d is %s, encoding/json says %s", i, texts[i], want[i])
				}
			}
		}
		for _, text := range texts {
			got := desk.readItem(text, &q)
			checkReading(t, &got)
		}
	})
}

func FuzzSignatureHeader(f *testing.F) {
	f.Add(vectorID, "1614265330", vectorSignature, []byte(vectorBody))
	f.Add("", "-1", "v1,", []byte(nil))
	f.Add("a.b", "1614265330", "v1a,x v1,"+strings.Repeat("A", 43)+"= "+vectorSignature, []byte("{}"))
	key := mustKey(f, vectorSecret)
	k := &keyring{signing: []*source{{name: "s", keys: [][]byte{key}}}}
	now := time.Unix(vectorTime, 0)
	f.Fuzz(func(t *testing.T, id, timestamp, signature string, body []byte) {
		got := verify(k, signed(id, timestamp, signature), string(body), now) != nil
		want := strings.Contains(" "+signature+" ", " "+sign(key, id, timestamp, string(body))+" ")
		if got && !want {
			t.Errorf("accepted %q %q %q %q", id, timestamp, signature, body)
		}
		if ok := verify(k, signed("x"+id, "1614265330", sign(key, "x"+id, "1614265330", string(body))), string(body), now) != nil; !ok {
			t.Errorf("refused our own signature of %q %q", id, body)
		}
	})
}

func FuzzHeaderAttribute(f *testing.F) {
	for _, s := range []string{"a", "%41", `"a\"b"`, "%", "%zz", "%ff", `"`, `"\`, "%2541"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		text, ok := decodeHeader(value)
		if ok && (!utf8.Valid(text) || len(text) > len(value)) {
			t.Errorf("%q became %q", value, text)
		}
	})
}
