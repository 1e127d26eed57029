package browsertest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// maxStops bounds how often Tab is pressed on the way to a field.
const maxStops = 80

// hasFocus tells whether what is reached by the keyboard can be seen to be.
const hasFocus = `(() => { const style = getComputedStyle(document.activeElement);
	return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2; })()`

// tabTo presses Tab until the focus is on what a selector names; each stop on the way must be seen to have the focus.
func (b *tab) tabTo(selector string, options ...chromedp.KeyOption) {
	b.t.Helper()
	for range maxStops {
		b.press(kb.Tab, options...)
		if eval[bool](b, "document.activeElement === document.body") {
			continue // Once around.
		}
		if !eval[bool](b, hasFocus) {
			b.t.Errorf("on %s it can't be seen that it has the focus", eval[string](b, "document.activeElement.outerHTML.slice(0, 200)"))
		}
		if eval[bool](b, fmt.Sprintf("document.activeElement.matches(%q)", selector)) {
			return
		}
	}
	b.t.Fatalf("%d times Tab do not lead to %s on %s", maxStops, selector, b.path())
}

// enter presses Enter on what has the focus, and waits for the page that it leads to.
func (b *tab) enter() int64 {
	b.t.Helper()
	return b.follow("pressing Enter", chromedp.KeyEvent(kb.Enter))
}

// TestBulkReplayByKeyboard goes from the list of all pushes to a replay that is done, without a mouse.
func TestBulkReplayByKeyboard(t *testing.T) {
	t.Parallel()
	s := startPlain(t)
	s.fails(t, "KEYS1", "KEYS2")
	s.Accept(t, append(story("KEYS1", 100001, 200001), story("KEYS2", 100001, 200001, 300002)...)...)
	s.failed(t, 5)
	s.up.Faulty(t, sandbox.Faults{})
	b := openTab(t, s.Admin)
	b.logIn(s.Operator)
	b.open("/pushes")

	b.tabTo(".tabs a[href*='status=failed']")
	b.enter()
	b.tabTo("input[name=errcode]")
	b.press("40097")
	if b.enter(); !strings.Contains(b.path(), "errcode=40097") || !strings.Contains(b.path(), "status=failed") {
		t.Fatalf("the filter leads to %s", b.path())
	}

	b.tabTo("[data-all] input")
	b.press(" ")
	if got := eval[int](b, "document.querySelectorAll('tbody input:checked').length"); got != 5 {
		t.Errorf("the box for all has chosen %d pushes, want 5", got)
	}
	b.tabTo("button[form=all]", chromedp.KeyModifiers(chromedp.ModifierShift))
	if status := b.enter(); status != http.StatusOK {
		t.Fatalf("the dry run was answered %d: %s", status, b.text())
	}
	b.says("Nothing has been done yet", "Replay 5 pushes", "sent after an earlier push of the waybill")
	if left := len(s.Pushes(t, "status=failed")); left != 5 {
		t.Errorf("after the dry run %d pushes are failed, want 5", left)
	}

	b.tabTo("input[name=because]")
	b.press("mended")
	b.tabTo("button[name=confirmed]")
	b.enter()
	if !strings.HasPrefix(b.path(), "/replays/") {
		t.Fatalf("the replay leads to %s", b.path())
	}
	b.until(`document.querySelector("#replay progress").value === 100`)
	b.says("done", "mended")
	if got := s.Pushes(t, "status=delivered"); len(got) != 5 {
		t.Errorf("%d pushes are delivered, want 5: %s", len(got), b.text())
	}
	b.well("the replay")
}

// TestChosenByKeyboard replays two pushes that are chosen one by one.
func TestChosenByKeyboard(t *testing.T) {
	t.Parallel()
	s := startPlain(t)
	s.fails(t, "CHOSEN")
	seqs := s.Accept(t, story("CHOSEN", 100001, 200001, 300002)...)
	s.failed(t, 3)
	s.up.Faulty(t, sandbox.Faults{})
	b := openTab(t, s.Admin)
	b.logIn(s.Operator)
	b.open("/pushes?status=failed")
	for _, seq := range []uint64{seqs[1], seqs[0]} { // Newest first.
		b.tabTo(fmt.Sprintf("input[name=seq][value='%d']", seq))
		b.press(" ")
	}
	b.tabTo("form[data-choose] button.main", chromedp.KeyModifiers(chromedp.ModifierShift))
	b.enter()
	b.says("Replay 2 pushes")
	b.tabTo("button[name=confirmed]")
	if b.enter(); b.path() != "/pushes?status=failed" {
		t.Errorf("the replay leads to %s", b.path())
	}
	apptest.Eventually(t, soon, func() bool { return len(s.Pushes(t, "status=delivered")) == 2 }, apptest.Text("two delivered pushes"))
	b.well("the replay")
}
