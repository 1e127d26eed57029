// Package browsertest is the console in a real Chromium, over the whole service with a simulated upstream: what the
// other tests can't see, which is what a browser makes of the pages.
//
// Where Chromium is missing these tests are skipped, and fail instead where REQUIRE_CHROMIUM=1 is set, as the
// gate does. CONSOLE_SCREENSHOTS names a folder for a picture of every page; without it none is taken.
package browsertest

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := closeBrowser(); err != nil && code == 0 {
		println("closing Chromium:", err.Error())
		code = 1
	}
	os.Exit(code)
}
