package browsertest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// tab is a tab of the browser. Its methods end the test when the browser can't do what is asked. It is used by the
// test's goroutine.
type tab struct {
	t      *testing.T
	ctx    context.Context
	origin string // Scheme, host and port of the console: no request may go anywhere else.
	*watch
}

// openTab opens a tab with cookies of its own, which sees every trouble of the pages that it shows.
func openTab(t *testing.T, origin string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser(t), chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("opening a tab: %v", err)
	}
	ctx, cancelLate := context.WithTimeout(ctx, later)
	t.Cleanup(cancelLate)
	b := &tab{t: t, ctx: ctx, origin: origin, watch: &watch{allowed: []string{origin}}}
	b.begin(ctx, t)
	// A tab in the background would be hidden to its page, and live pages listen only while they are looked at.
	call(b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: reportViolations})
	return b
}

// call sends a command of the DevTools protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	answer, err := chromedp.Call(b.ctx, command, params)
	b.must(err, command.Method)
	return answer
}

// do carries out steps that lead to no other page.
func (b *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	b.must(chromedp.Do(b.ctx, steps...), what)
}

// must ends the test on an error, with what was on the page.
func (b *tab) must(err error, what string) {
	b.t.Helper()
	if err != nil {
		b.t.Fatalf("%s: %v; on the page: %s", what, err, b.troubles())
	}
}

// open goes to a path of the console and returns the status that it was answered with.
func (b *tab) open(path string) int64 {
	b.t.Helper()
	return b.openURL(b.origin + path)
}

func (b *tab) openURL(url string) int64 {
	b.t.Helper()
	res, err := chromedp.Run(b.ctx, chromedp.NavigateResponse(url))
	b.must(err, "opening "+url)
	return res.Status
}

// follow does what leads to another page, waits for it, and returns the status.
func (b *tab) follow(what string, steps ...chromedp.Action[chromedp.Void]) int64 {
	b.t.Helper()
	res, err := chromedp.RunResponse(b.ctx, steps...)
	b.must(err, what)
	return res.Status
}

// click clicks what leads to another page, and returns the status.
func (b *tab) click(selector string) int64 {
	b.t.Helper()
	return b.follow("clicking "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// typeInto types into a field.
func (b *tab) typeInto(selector, text string) {
	b.t.Helper()
	b.do("typing into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

// press presses a key on whatever has the focus.
func (b *tab) press(key string, options ...chromedp.KeyOption) {
	b.t.Helper()
	b.do(fmt.Sprintf("pressing %q", key), chromedp.KeyEvent(key, options...))
}

// eval evaluates JavaScript in the page.
func eval[T any](b *tab, script string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	b.must(err, "evaluating "+script[:min(200, len(script))])
	return value
}

// until waits until a condition in JavaScript holds in the page, which must not go away meanwhile.
func (b *tab) until(condition string) {
	b.t.Helper()
	_, err := chromedp.Run(b.ctx, chromedp.Poll[chromedp.Void](condition, chromedp.WithPollingTimeout(soon)))
	if err != nil {
		b.t.Fatalf("waiting for %s: %v; the page says: %s", condition, err, b.text())
	}
}

// text is what a reader sees of the page.
func (b *tab) text() string { b.t.Helper(); return eval[string](b, "document.body.innerText") }

// says fails the test unless the page has all these texts.
func (b *tab) says(texts ...string) {
	b.t.Helper()
	got := b.text()
	for _, want := range texts {
		if !strings.Contains(got, want) {
			b.t.Errorf("the page %s does not say %q: %s", b.path(), want, got)
		}
	}
}

// path is where the tab is, without the origin.
func (b *tab) path() string {
	b.t.Helper()
	return strings.TrimPrefix(eval[string](b, "location.href"), b.origin)
}

// logIn logs in with a token, as a visitor does: it is typed in and sent with Enter.
func (b *tab) logIn(token string) {
	b.t.Helper()
	b.open("/login")
	b.sendToken(token)
	if got := b.path(); got != "/" {
		b.t.Fatalf("the log-in led to %s: %s", got, b.text())
	}
}

func (b *tab) sendToken(token string) int64 {
	b.t.Helper()
	b.typeInto("input[name=token]", token)
	return b.follow("logging in", chromedp.KeyEvent(kb.Enter))
}

// cookies are those that the tab would send to the console, by name.
func (b *tab) cookies() map[string]*network.Cookie {
	b.t.Helper()
	all := map[string]*network.Cookie{}
	for _, c := range call(b, network.GetCookies, network.GetCookiesParams{URLs: []string{b.origin}}).Cookies {
		all[c.Name] = c
	}
	return all
}

// setCookie gives the tab a cookie for the origin.
func setCookie(c *network.Cookie, origin string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, network.SetCookie, network.SetCookieParams{Name: c.Name, Value: c.Value, URL: origin})
		return err
	})
}

// clickHidden clicks what may be out of sight, such as a button in a closed part of the page.
func clickHidden(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void](fmt.Sprintf("document.querySelector(%q).click()", selector))
}
