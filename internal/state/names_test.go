package state_test

import (
	"encoding/json"
	"testing"
	"unicode"

	. "carrier/internal/state"
)

func TestStageKeysAreTheContracts(t *testing.T) {
	want := []string{
		"created", "assigned", "pickup_failed", "picked_up", "in_transit", "out_for_delivery", "delivery_failed",
		"held_before_pickup", "held_after_pickup", "delivered", "cancelled",
	}
	stages := Stages()
	if len(stages) != len(want) {
		t.Fatalf("%d stages, want %d", len(stages), len(want))
	}
	for i, s := range stages {
		if s.String() != want[i] {
			t.Errorf("stage %d is %s, want %s", i, s, want[i])
		}
	}
	if Created != *new(Stage) {
		t.Error("a waybill that was never heard of must be created")
	}
}

func TestVerdictWordsAreTheContracts(t *testing.T) {
	want := map[Verdict]string{
		Accepted: "accepted", Held: "held", Ignored: "ignored", Duplicate: "duplicate", Rejected: "rejected",
		Invalid: "invalid", Conflict: "conflict",
	}
	if len(Verdicts()) != len(want) {
		t.Errorf("%d verdicts, want %d", len(Verdicts()), len(want))
	}
	for _, v := range Verdicts() {
		if v.String() != want[v] {
			t.Errorf("verdict %d is %q, want %q", uint8(v), v, want[v])
		}
	}
}

func TestEveryStageAndCodeHasItsNames(t *testing.T) {
	seen := map[string]string{}
	check := func(key, en, zh string) {
		t.Helper()
		if en == "" || !ascii(en) {
			t.Errorf("%s has the English name %q", key, en)
		}
		if !han(zh) {
			t.Errorf("%s has the Chinese name %q", key, zh)
		}
		kind := key[:1]
		for _, n := range []string{en, zh} {
			if other, ok := seen[kind+n]; ok {
				t.Errorf("%s and %s have the same name %q", key, other, n)
			}
			seen[kind+n] = key
		}
	}
	for _, s := range Stages() {
		check("stage "+s.String(), s.Name(false), s.Name(true))
	}
	for _, a := range ActionTypes {
		check("code "+a.String(), a.Name(false), a.Name(true))
	}
	if len(ActionTypes) != len(codes) {
		t.Errorf("%d codes, want %d", len(ActionTypes), len(codes))
	}
	for i, a := range codes {
		if ActionTypes[i] != a || !a.Valid() {
			t.Errorf("column %d is %d (valid: %v), want %d", i, ActionTypes[i], a.Valid(), a)
		}
	}
	for _, zh := range []bool{false, true} {
		if n := ActionType(1).Name(zh); n != "" {
			t.Errorf("an unknown code is named %q", n)
		}
		if n := Stage(99).Name(zh); n != "stage(99)" {
			t.Errorf("an unknown stage is named %q", n)
		}
	}
}

// TestNamesOfTheDocument: the Chinese names of the codes are WeChat's own (updatePath, 请求参数), so that operators
// find them again.
func TestNamesOfTheDocument(t *testing.T) {
	want := map[ActionType]string{
		100001: "揽件成功", 100002: "揽件失败", 100003: "分配业务员", 200001: "更新运输轨迹", 300002: "开始派送",
		300003: "签收成功", 300004: "签收失败", 400001: "订单取消", 400002: "订单滞留",
	}
	for a, zh := range want {
		if a.Name(true) != zh {
			t.Errorf("%d is named %q, want %q", a, a.Name(true), zh)
		}
	}
}

func ascii(s string) bool {
	for _, r := range s {
		if r > unicode.MaxASCII {
			return false
		}
	}
	return true
}

func han(s string) bool {
	for _, r := range s {
		if !unicode.Is(unicode.Han, r) {
			return false
		}
	}
	return s != ""
}

func TestTextRoundTrips(t *testing.T) {
	for _, s := range Stages() {
		var back Stage = 99
		roundTrip(t, s, &back)
		if back != s {
			t.Errorf("%s came back as %s", s, back)
		}
	}
	for _, v := range Verdicts() {
		var back Verdict
		roundTrip(t, v, &back)
		if back != v {
			t.Errorf("%s came back as %s", v, back)
		}
	}
	if got, err := json.Marshal([]Reason{0, MissingScan, ContradictsNext}); err != nil ||
		string(got) != `["","missing_scan","contradicts_later_event"]` {
		t.Errorf("reasons are written as %s, %v", got, err)
	}
}

// roundTrip writes v as JSON, which goes through MarshalText, and reads it into back.
func roundTrip(t *testing.T, v, back any) {
	t.Helper()
	text, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(text, back)
	}
	if err != nil {
		t.Errorf("%v: %v", v, err)
	}
}

func TestUnknownTextIsAnErrorAndChangesNothing(t *testing.T) {
	for _, text := range []string{"Created", "picked-up", " created", "stage(3)", "verdict(9)", "acceptedx", "\x00"} {
		s, v := InTransit, Held
		if err := s.UnmarshalText([]byte(text)); err == nil || s != InTransit {
			t.Errorf("stage %q: %v, now %s", text, err, s)
		}
		if err := v.UnmarshalText([]byte(text)); err == nil || v != Held {
			t.Errorf("verdict %q: %v, now %s", text, err, v)
		}
	}
	if s := InTransit; s.UnmarshalText(nil) == nil {
		t.Error("an empty stage is no stage")
	}
}

func TestNumbersOutOfRangeHaveAString(t *testing.T) {
	for got, want := range map[string]string{
		Stage(77).String(): "stage(77)", Verdict(77).String(): "verdict(77)", Reason(77).String(): "reason(77)",
		ActionType(-3).String(): "-3", Waybill{"SF", "1"}.String(): "SF/1",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
