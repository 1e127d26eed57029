//go:build pictures

package browsertest

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"carrier/internal/app/apptest"
	"carrier/internal/demo"
	"carrier/internal/logtest"
)

// maxPicture keeps the repository small.
const maxPicture = 200 << 10

// TestPictures makes the pictures of the README, the overview of the demo on a bad day in both languages:
//
//	go test ./internal/console/browsertest -tags pictures -run TestPictures
func TestPictures(t *testing.T) {
	console, token := startDemo(t)
	for lang, file := range map[string]string{"en": "overview.png", "zh-CN": "overview.zh-CN.png"} {
		b := openTab(t, console)
		b.do("sizing the window", chromedp.EmulateViewport(1200, 900))
		b.open("/login?lang=" + lang + "&theme=light")
		b.logIn(token)
		picture := call(b, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatPng}).Data
		if len(picture) > maxPicture {
			t.Errorf("the picture in %s has %d bytes, more than %d", lang, len(picture), maxPicture)
		}
		if err := os.WriteFile(filepath.Join("pictures", file), picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// startDemo runs the demo until the end of the test, and returns once there is something to see. The token opens the console.
func startDemo(t *testing.T) (console, token string) {
	t.Helper()
	browser(t)
	var out logtest.Buffer
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = demo.Run(ctx, demo.Options{ // What it finds in the end is not the picture's matter.
			Faults: true, Rate: 10, Out: &out, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Version: "demo",
			Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", SandboxListen: "127.0.0.1:0", NATSListen: "127.0.0.1:0",
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
	apptest.Eventually(t, later, func() bool {
		console, token = exported(&out, "CARRIER_ADMIN_URL"), exported(&out, "CARRIER_ADMIN_TOKEN")
		return console != "" && token != ""
	}, apptest.Text("the demo's address and token"))
	<-time.After(pictureAfter)
	return console, token
}

// pictureAfter is for how long the demo runs before it is pictured, so that its charts show something.
const pictureAfter = 4 * time.Minute

// exported is the value of a variable that the demo's lines export; empty if it was not printed yet.
func exported(out *logtest.Buffer, name string) string {
	if m := regexp.MustCompile(`export ` + name + `=(\S+)`).FindStringSubmatch(out.String()); m != nil {
		return m[1]
	}
	return ""
}
