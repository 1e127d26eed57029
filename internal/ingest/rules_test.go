package ingest

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"carrier/internal/problem"
	"carrier/internal/state"
)

// tagNames are the validator tags in use on tagged.
func tagNames() map[string]bool {
	names := make(map[string]bool)
	typ := reflect.TypeFor[tagged]()
	for i := range typ.NumField() {
		for tag := range strings.SplitSeq(typ.Field(i).Tag.Get("validate"), ",") {
			if name, _, _ := strings.Cut(tag, "="); name != "" {
				names[name] = true
			}
		}
	}
	return names
}

func TestEveryTagHasWords(t *testing.T) {
	used := tagNames()
	if len(used) < 10 {
		t.Fatalf("found only %v", used)
	}
	for tag := range used {
		if tagRules[tag] == ruleNone {
			t.Errorf("tag %s has no rule, so nothing could be said of it", tag)
		}
	}
	for tag := range tagRules {
		if !used[tag] {
			t.Errorf("tag %s is not in use", tag)
		}
	}
	for tag := range tagChecks {
		if !used[tag] {
			t.Errorf("the check of tag %s is not in use", tag)
		}
	}
}

func TestRulesSpeakBothLanguages(t *testing.T) {
	goName := regexp.MustCompile(`ActionType|ActionTime|ActionMsg|WaybillID|DeliveryID|tagged|wire|struct|int64|Key:|Error:`)
	code := regexp.MustCompile(`^[a-z0-9_]+$`)
	for _, c := range ruleTexts[ruleNone+1:] {
		if !code.MatchString(c.code) {
			t.Errorf("code %q", c.code)
		}
		if c.en == "" || strings.ContainsFunc(c.en, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
			t.Errorf("%s: English %q", c.code, c.en)
		}
		if !strings.ContainsFunc(c.zh, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
			t.Errorf("%s: Chinese %q", c.code, c.zh)
		}
		if strings.Count(c.en, "%s") != strings.Count(c.zh, "%s") {
			t.Errorf("%s: %q and %q differ in what they tell", c.code, c.en, c.zh)
		}
		if name := goName.FindString(c.en + c.zh); name != "" {
			t.Errorf("%s tells the Go name %s", c.code, name)
		}
	}
}

// TestMessagesAreFilledIn provokes every field error there is a body for and looks at the words themselves.
func TestMessagesAreFilledIn(t *testing.T) {
	goName := regexp.MustCompile(`ActionType|ActionTime|ActionMsg|WaybillID|DeliveryID|tagged|%!|%s|\(MISSING\)|EXTRA`)
	said := make(map[string]bool)
	for _, tt := range malformedCases() {
		if tt.code != problem.InvalidEvent {
			continue
		}
		for _, language := range []string{"en", "zh"} {
			a := newBench(t).post("/v1/events", tt.body, header{"Accept-Language", language})
			if name := goName.FindString(a.text); name != "" && !strings.Contains(tt.body, name) {
				t.Errorf("%s: %q in %s", tt.name, name, a.text)
			}
			for _, f := range a.fields() {
				said[f[strings.LastIndex(f, ":")+1:]] = true
			}
		}
	}
	for _, tag := range []rule{ruleType, ruleInteger, ruleRange, ruleLoneSurrogate, ruleUnknownField, ruleRepeatedField, ruleRequired,
		ruleMaxChars, rulePrintable, ruleKnownDeliveryID, ruleActionType, rulePositive, ruleSeconds, ruleNotFuture} {
		if c := ruleTexts[tag].code; !said[c] {
			t.Errorf("no body provoked %s", c)
		}
	}
}

func TestMessagesNameTheLimits(t *testing.T) {
	b := newBench(t, func(o *Options) { o.MaxActionMsg, o.MaxFuture, o.MaxAge = 77, 90*time.Minute, 240*time.Hour })
	for _, tt := range []struct{ body, want string }{
		{with("action_msg", quoted(strings.Repeat("x", 78))), "action_msg is longer than 77 bytes"},
		{with("token", quoted(strings.Repeat("x", 257))), "token is longer than 256 bytes"},
		{with("id", quoted(strings.Repeat("x", 129))), "id is longer than 128 characters"},
		{with("waybill_id", quoted(strings.Repeat("x", 65))), "waybill_id is longer than 64 characters"},
		{with("action_time", "99999999999"), "more than 1h30m ahead"},
		{with("action_time", "1"), "more than 240h back"},
		{with("delivery_id", `"x"`), "it can for: SF"},
	} {
		if a := b.post("/v1/events", tt.body); !strings.Contains(a.str("detail"), tt.want) {
			t.Errorf("%q lacks %q", a.str("detail"), tt.want)
		}
	}
}

// TestTimeLimits looks at the seconds around each limit, with a clock that stands still.
func TestTimeLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := testRules(t, "SF")
		r.maxAge = 24 * time.Hour
		now := time.Now()
		for _, tt := range []struct {
			name string
			at   int64
			kept bool
		}{
			{"now", now.Unix(), true},
			{"10 minutes ahead", now.Unix() + 600, true},
			{"a second more", now.Unix() + 601, false},
			{"a day old", now.Unix() - 86400, true},
			{"a second more", now.Unix() - 86401, false},
			{"far ahead", firstMilliseconds - 1, false},
		} {
			w := goodWire()
			w.actionTime = tt.at
			if got := r.kept(&w, now); got != tt.kept {
				t.Errorf("%s: kept %v, want %v", tt.name, got, tt.kept)
			}
		}
	})
}

func goodWire() wire {
	return wire{
		id: []byte("a"), deliveryID: []byte("SF"), waybillID: []byte("w"), actionMsg: []byte("m"),
		actionType: 100001, actionTime: 1533052800,
		has: fieldID | fieldDeliveryID | fieldWaybillID | fieldActionType | fieldActionTime | fieldActionMsg,
	}
}

// TestHandAndTagsAgree draws events around all limits: the hand-written rules and the validator tags must say the same.
func TestHandAndTagsAgree(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	text := func(limit int) *rapid.Generator[[]byte] {
		return rapid.Map(rapid.OneOf(
			rapid.String(),
			rapid.StringN(0, limit+3, -1),
			rapid.StringOfN(rapid.RuneFrom([]rune("aZ0 ~\x00\x7f\u0085\u00a0\u200b\u202e\u3000单é😀")), 0, limit+3, -1),
			rapid.StringOfN(rapid.RuneFrom([]rune("x单")), limit-2, limit+2, -1),
		), func(s string) []byte { return []byte(strings.ToValidUTF8(s, "?")) })
	}
	number := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-2, 2), rapid.Int64Range(100_000, 100_004),
		rapid.SampledFrom([]int64{200001, 300002, 300003, 300004, 400001, 400002, 1<<32 + 100001, firstMilliseconds - 1, firstMilliseconds,
			now.Unix() + 600, now.Unix() + 601, now.Unix() - 3600, now.Unix() - 3601, now.Unix()}))
	rulesOf := []*rules{testRules(t, "SF"), testRules(t, "SF", "YTO"), testRules(t)}
	rulesOf[1].maxAge, rulesOf[2].maxMsg = time.Hour, 5
	kept, broken := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		r := rapid.SampledFrom(rulesOf).Draw(t, "rules")
		w := goodWire()
		w.actionTime = now.Unix()
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			switch rapid.IntRange(0, 7).Draw(t, "change") {
			case 0:
				w.id = text(maxIDChars).Draw(t, "id")
				w.has |= fieldID
			case 1:
				w.waybillID = text(state.MaxWaybillChars).Draw(t, "waybill_id")
				w.has |= fieldWaybillID
			case 2:
				w.actionMsg = text(r.maxMsg).Draw(t, "action_msg")
				w.has |= fieldActionMsg
			case 3:
				w.token = text(state.MaxTokenBytes).Draw(t, "token")
				w.has |= fieldToken
			case 4:
				w.deliveryID = []byte(rapid.SampledFrom([]string{"", "SF", "YTO", "sf", "ZTO"}).Draw(t, "delivery_id"))
				w.has |= fieldDeliveryID
			case 5:
				w.actionType = number.Draw(t, "action_type")
				w.has |= fieldActionType
			case 6:
				w.actionTime = number.Draw(t, "action_time")
				w.has |= fieldActionTime
			case 7:
				without(&w, field(1)<<rapid.IntRange(0, 6).Draw(t, "without"))
			}
		}
		byHand := r.kept(&w, now)
		byTags := r.validate.Struct(r.tagged(&w, now))
		if byHand != (byTags == nil) {
			t.Fatalf("by hand %v, by tags %v, of %+v", byHand, byTags, w)
		}
		if byHand {
			kept++
			return
		}
		broken++
		var errs fieldErrors
		if r.explain(&errs, &w, now, nil, names{id: "id"}.of); len(errs) == 0 {
			t.Fatalf("nothing is said of %+v", w)
		}
	})
	if kept == 0 || broken == 0 {
		t.Errorf("%d kept, %d broken: the draw proves nothing", kept, broken)
	}
}

// without takes a field out, as if it had not been sent.
func without(w *wire, f field) {
	w.has &^= f
	if text := w.text(f); text != nil {
		*text = nil
		return
	}
	if f == fieldActionType {
		w.actionType = 0
	} else {
		w.actionTime = 0
	}
}
