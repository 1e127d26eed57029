package browsertest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

const (
	// requireEnv, set to 1, makes a missing browser a failure rather than a skipped test.
	requireEnv = "REQUIRE_CHROMIUM"
	// screenshotsEnv names the folder that pictures of the pages are written to.
	screenshotsEnv = "CONSOLE_SCREENSHOTS"
)

// soon is for what takes milliseconds on an idle machine, and later for what takes seconds there.
const (
	soon  = 30 * time.Second
	later = 120 * time.Second
)

// missing ends a test that needs what is not here: skipped on a developer's machine, failed at the gate.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv(requireEnv) == "1" {
		t.Fatalf("%s=1 and %s", requireEnv, what)
	}
	t.Skip(what)
}

// chromium is the one browser of all tests. Each test has tabs of its own in it, with cookies of their own.
var chromium struct {
	start sync.Once
	ctx   context.Context
	stop  context.CancelFunc
	err   error
}

var errNoBrowser = errors.New("there is no chromium on PATH: install it (Debian: apt-get install chromium fonts-noto-cjk)")

// browser starts the browser once and returns the context that tabs are opened under.
func browser(t *testing.T) context.Context {
	t.Helper()
	chromium.start.Do(func() { chromium.ctx, chromium.stop, chromium.err = startBrowser() })
	if errors.Is(chromium.err, errNoBrowser) {
		missing(t, chromium.err.Error())
	}
	if chromium.err != nil {
		t.Fatalf("starting Chromium: %v", chromium.err)
	}
	return chromium.ctx
}

func startBrowser() (context.Context, context.CancelFunc, error) {
	path, err := findBrowser()
	if err != nil {
		return nil, nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.Flag("lang", "en-US"))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium's sandbox refuses root.
	}
	under, stopAll := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(under)
	return ctx, func() { stop(); stopAll() }, chromedp.Do(ctx)
}

func findBrowser() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errNoBrowser
}

// closeBrowser ends the browser, if one was started.
func closeBrowser() error {
	if chromium.ctx == nil || chromium.err != nil {
		return nil
	}
	defer chromium.stop()
	ctx, cancel := context.WithTimeout(chromium.ctx, soon)
	defer cancel()
	return chromedp.Cancel(ctx)
}
