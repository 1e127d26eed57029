package browsertest

import (
	"testing"

	"carrier/internal/app/apptest"
)

// TestLiveOverview: what comes in shows on a page that is open, which is not loaded again for it; and who is on a link
// with the keyboard stays there.
func TestLiveOverview(t *testing.T) {
	t.Parallel()
	s := startPlain(t)
	b := openTab(t, s.Admin)
	b.logIn(s.Operator)
	b.until(`document.documentElement.classList.contains("is-live")`)
	b.says("All is well")
	eval[string](b, `(window.marked = "the same page")`)
	b.tabTo("#figures a[href='/pushes?status=failed']")

	s.fails(t, "LIVE")
	s.Accept(t, story("LIVE", 100001)...)
	s.failed(t, 1)
	b.until(`document.querySelector("#figures a[href='/pushes?status=failed']").textContent === "1"`)
	b.until(`document.querySelector("#troubles").textContent.includes("1 push has failed")`)
	if got := eval[string](b, "window.marked + ', ' + document.activeElement.getAttribute('href')"); got != "the same page, /pushes?status=failed" {
		t.Errorf("after the change there is %s", got)
	}

	s.Accept(t, story("MORE", 100001, 200001)...)
	apptest.Eventually(t, soon, func() bool { return len(s.Pushes(t, "status=delivered")) == 2 }, apptest.Text("two delivered pushes"))
	b.until(`document.querySelector("#hour").textContent.includes("taken 3")`)
	b.well("the overview")
}
