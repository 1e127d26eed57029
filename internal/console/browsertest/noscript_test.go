package browsertest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
)

// TestWithoutScripts logs in, filters and replays one push in a browser that runs no script.
func TestWithoutScripts(t *testing.T) {
	t.Parallel()
	s := startPlain(t)
	s.fails(t, "PLAIN1", "PLAIN2")
	seq := s.Accept(t, story("PLAIN1", 100001)...)[0]
	s.Accept(t, story("PLAIN2", 100001)...)
	s.failed(t, 2)
	s.up.Faulty(t, sandbox.Faults{})
	b := openTab(t, s.Admin)
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.logIn(s.Operator)
	if eval[bool](b, `document.documentElement.classList.contains("is-live")`) {
		t.Fatal("scripts run")
	}
	b.says("2 pushes have failed", "Reload")

	b.click("#troubles a")
	b.typeInto("input[name=waybill_id]", "PLAIN1")
	if b.click("form.filters button"); !strings.Contains(b.path(), "waybill_id=PLAIN1") {
		t.Errorf("the filter leads to %s", b.path())
	}
	if got := eval[int](b, "document.querySelectorAll('.rows tbody tr').length"); got != 1 {
		t.Errorf("the filter finds %d pushes, want 1: %s", got, b.text())
	}
	b.click(fmt.Sprintf("a[href='/pushes/%d']", seq))
	b.typeInto("form[action$='/replay'] input[name=reason]", "mended")
	if status := b.click("form[action$='/replay'] button"); status != http.StatusOK {
		t.Errorf("the replay was answered %d", status)
	}
	b.says(fmt.Sprintf("Push %d is pending again", seq))
	apptest.Eventually(t, soon, func() bool { return s.GetPush(t, seq).Status == "delivered" }, apptest.Text("a delivered push"))
	b.do("reloading", chromedp.Reload())
	b.says("delivered")
	b.well("without scripts")
}
