package browsertest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"carrier/internal/app/apptest"
)

// reportViolations makes what a page's policy forbade a message of the console, with its place.
const reportViolations = `addEventListener("securitypolicyviolation", (e) =>
	console.error("forbidden by the policy: " + e.violatedDirective + " " + e.blockedURI + " " + e.sample));`

// watch collects what no page may do: write to the console, fail in a script, break its policy, open a dialog, or ask
// another origin for anything.
type watch struct {
	allowed []string // Origins that may be asked.

	mu   sync.Mutex
	seen []string
}

// begin listens to a tab until its context ends.
func (w *watch) begin(ctx context.Context, t *testing.T) {
	t.Helper()
	if _, err := chromedp.Call(ctx, audits.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	var closing sync.WaitGroup
	t.Cleanup(closing.Wait)
	err := chromedp.Listen(ctx, func(event any) {
		if trouble := w.trouble(event); trouble != "" {
			w.mu.Lock()
			w.seen = append(w.seen, trouble)
			w.mu.Unlock()
		}
		// A dialog stops its page, and with it the test that is to tell of it.
		if _, ok := event.(*page.EventJavascriptDialogOpening); ok {
			closing.Go(func() { _, _ = chromedp.Call(ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{}) })
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// trouble says what is wrong with an event; empty if nothing is.
func (w *watch) trouble(event any) string {
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		return fmt.Sprintf("console.%s: %s", e.Type, arguments(e.Args))
	case *runtime.EventExceptionThrown:
		return "a script failed: " + thrown(e.ExceptionDetails)
	case *log.EventEntryAdded:
		// That an answer was no 200 is for the test to judge, which knows the status; advice on password managers for nobody.
		if e.Entry.Source != log.EntrySourceNetwork && e.Entry.Level != log.EntryLevelVerbose {
			return fmt.Sprintf("%s %s: %s", e.Entry.Source, e.Entry.Level, e.Entry.Text)
		}
	case *audits.EventIssueAdded:
		if e.Issue.Code == audits.InspectorIssueCodeContentSecurityPolicyIssue {
			return fmt.Sprintf("policy: %s", e.Issue.Details.ContentSecurityPolicyIssueDetails.ViolatedDirective)
		}
	case *page.EventJavascriptDialogOpening:
		return "a dialog: " + e.Message
	case *network.EventRequestWillBeSent:
		if !w.allows(e.Request.URL) {
			return "a request to " + e.Request.URL
		}
	}
	return ""
}

func (w *watch) allows(url string) bool {
	if strings.HasPrefix(url, "data:") {
		return true
	}
	for _, origin := range w.allowed {
		if strings.HasPrefix(url, origin+"/") {
			return true
		}
	}
	return false
}

func thrown(d *runtime.ExceptionDetails) string {
	if d.Exception != nil {
		return d.Text + " " + d.Exception.Description
	}
	return d.Text
}

func arguments(args []*runtime.RemoteObject) string {
	var texts []string
	for _, a := range args {
		texts = append(texts, string(a.Value)+a.Description)
	}
	return strings.Join(texts, " ")
}

// troubles are those so far, forgotten by that.
func (w *watch) troubles() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := w.seen
	w.seen = nil
	return seen
}

// well fails the test if anything was seen since it was asked last.
func (b *tab) well(where string) {
	b.t.Helper()
	for _, trouble := range b.troubles() {
		b.t.Errorf("%s: %s", where, trouble)
	}
}

// TestTheWatchSees holds the watch itself: that a page did nothing wrong means something only if it would be seen.
func TestTheWatchSees(t *testing.T) {
	origin := apptest.Serve(t, badPages())
	for path, want := range map[string][]string{
		"/fine":    nil,
		"/console": {"console.log", "here"},
		"/throws":  {"a script failed", "oh no"},
		"/policy":  {"policy: script-src", "forbidden by the policy: script-src-elem inline"},
		"/alert":   {"a dialog: hello"},
		"/away":    {"a request to http://elsewhere.invalid/"},
	} {
		b := openTab(t, origin)
		b.open(path)
		eval[int](b, "new Promise((done) => setTimeout(() => done(1), 0))")
		got := strings.Join(b.troubles(), "\n")
		for _, part := range want {
			if !strings.Contains(got, part) {
				t.Errorf("%s: seen was %q, want %q in it", path, got, part)
			}
		}
		if want == nil && got != "" {
			t.Errorf("%s: seen was %q, want nothing", path, got)
		}
	}
}
