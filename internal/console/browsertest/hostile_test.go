package browsertest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"carrier/internal/app/apptest"
)

// ran is what a page says if any of the hostile texts has run as a script.
const ran = "window.ran === 1"

// hostileTexts are what a sender might write into action_msg so that it does something on an operator's page: each would
// set window.ran, open a dialog, or ask another site, if it were taken for markup.
func hostileTexts() []string {
	var all []string
	for _, script := range []string{"window.ran=1", "alert(1)", `fetch("//elsewhere.invalid")`} {
		for _, wrap := range []string{
			`<script>%s</script>`, `</p></td></table><script>%s</script>`, `<ScRiPt type=module>%s</sCrIpT>`, `<img src=x onerror='%s'>`,
			`<svg onload='%s'>`, `<svg><script>%s</script></svg>`, `<body onload='%s'>`, `<input autofocus onfocus='%s'>`,
			`<details open ontoggle='%s'>`, `"><img src=x onerror='%s'>`, `' autofocus onfocus='%s' x='`, `<math><mi xlink:href="javascript:%s">x`,
			`<a href='javascript:%s'>下一站</a>`, `javascript:%s`, `<iframe srcdoc="<script>%s</script>"></iframe>`, `<form action='javascript:%s'><button>查</button></form>`,
			`{{%s}}`, `${%s}`, `{%% %s %%}`, `<%%= %s %%>`, `<!--><script>%s</script>-->`, `]]><script>%s</script>`, `&lt;script&gt;%s&lt;/script&gt;`,
			`&#60;script&#62;%s&#60;/script&#62;`, `+ADw-script+AD4-%s+ADw-/script+AD4-`, `\u003cscript\u003e%s\u003c/script\u003e`, `<style>@import'data:,%s'</style>`,
		} {
			all = append(all, fmt.Sprintf(wrap, script))
		}
	}
	return append(all,
		"zero\x00byte <scr\x00ipt>window.ran=1</scr\x00ipt>", "\x1b[31mred\x1b[0m", "back\x08\x7f", "two\r\nlines\rthree", "\t\ttabs",
		"\u202e已签收\u202c <b>倒</b>", "\u2066\u2067\u2068 isolates \u2069", "zero\u200bwidth\u200d\ufeff", "one\u2028two\u2029three", "a\u0301"+strings.Repeat("\u0301\u0327", 250),
		"<base href=//elsewhere.invalid>", "<link rel=stylesheet href=//elsewhere.invalid>", "<meta http-equiv=refresh content='0;url=//elsewhere.invalid'>",
		"<object data=//elsewhere.invalid></object>", "<img src=//elsewhere.invalid/pixel>", "<template><b>x</b></template>", "<plaintext>", "<textarea>", "<title>", "<!doctype html>",
		"</main></body></html>", "&nbsp;&amp;&copy;&#x0;&#128;", strings.Repeat("<", 1000), strings.Repeat("<b>", 341), strings.Repeat("长", 341),
		"'\"`\\ =<>&", "%3Cscript%3E", "🚚👩\u200d👩\u200d👧\U0001f1e8\U0001f1f3", "=HYPERLINK(\"http://elsewhere.invalid\")", "<p id=troubles class=msg>",
	)
}

// taken sends each of the texts in an event of its own, and returns them by the events' numbers.
func (s *service) taken(t *testing.T, want string, template apptest.Event, texts []string) map[uint64]string {
	t.Helper()
	byNumber := map[uint64]string{}
	for i, text := range texts {
		e := template
		e.ID, e.ActionMsg, e.ActionTime = fmt.Sprintf("%s-hostile-%d", e.WaybillID, i), text, e.ActionTime+int64(i)
		byNumber[s.verdicts(t, want, e)[0]] = text
	}
	return byNumber
}

// TestHostileTexts: what senders write stays text on every page that shows it, to the last character.
func TestHostileTexts(t *testing.T) {
	t.Parallel()
	s := startPlain(t)
	texts := hostileTexts()
	if len(texts) < 100 {
		t.Fatalf("there are %d texts, want 100", len(texts))
	}
	moving, done := story("MOVING", 100001, 200001), story("DONE", 100001, 300002, 300003, 200001)
	s.Accept(t, moving[0])
	s.Accept(t, done[:3]...)
	pushed := s.taken(t, "accepted", moving[1], texts)
	rejected := s.taken(t, "rejected", done[3], texts)
	b := openTab(t, s.Admin)
	b.logIn(s.Operator)

	b.open("/waybills/SF/MOVING")
	b.shows(t, "the waybill", pushed, "#event-%d > .msg")
	b.open("/waybills/SF/DONE")
	b.shows(t, "the other waybill", rejected, "#event-%d > .msg")
	for page := "/events/rejected"; page != ""; page = eval[string](b, "document.querySelector('a[rel=next]')?.href.replace(location.origin, '') ?? ''") {
		b.open(page)
		here := eval[[]uint64](b, `[...document.querySelectorAll("tbody td:first-child a")].map((a) => +a.textContent)`)
		b.shows(t, "rejected events", only(rejected, here), "tr:has(a[href$='#event-%d']) td:nth-child(3) > small:last-child")
		for _, seq := range here {
			delete(rejected, seq)
		}
	}
	if len(rejected) != 0 {
		t.Errorf("%d rejected events are on no page", len(rejected))
	}
	for seq, text := range pushed {
		b.open(fmt.Sprintf("/pushes/%d", seq))
		b.shows(t, "the push", map[uint64]string{seq: text}, "h1 ~ .card .wide dd")
	}
}

// only keeps the entries with these numbers.
func only(all map[uint64]string, numbers []uint64) map[uint64]string {
	kept := map[uint64]string{}
	for seq, text := range all {
		if slices.Contains(numbers, seq) {
			kept[seq] = text
		}
	}
	return kept
}

// unprintable is what no HTML can hold: a zero byte is shown as U+FFFD, and every end of a line is a line feed (HTML
// Standard, 13.2.3.5 and 13.2.5.1).
var unprintable = strings.NewReplacer("\x00", "\ufffd", "\r\n", "\n", "\r", "\n")

// shows fails the test unless the elements that the selector finds by number have just these texts, and no script ran.
func (b *tab) shows(t *testing.T, where string, want map[uint64]string, selector string) {
	t.Helper()
	selectors := map[string]string{}
	for seq := range want {
		selectors[fmt.Sprint(seq)] = strings.Replace(selector, "%d", fmt.Sprint(seq), 1)
	}
	asked, err := json.Marshal(selectors)
	if err != nil {
		t.Fatal(err)
	}
	got := eval[map[string]string](b, fmt.Sprintf(`Object.fromEntries(Object.entries(%s).map(([seq, s]) =>
		[seq, [...document.querySelectorAll(s)].map((e) => e.textContent).join("|")]))`, asked))
	for seq, text := range want {
		text = unprintable.Replace(text)
		if got := got[fmt.Sprint(seq)]; got != text {
			t.Errorf("%s: event %d shows %q, want %q", where, seq, got, text)
		}
	}
	if eval[bool](b, ran) {
		t.Errorf("%s: a script ran, of one of %v", where, want)
	}
	b.well(where)
}
