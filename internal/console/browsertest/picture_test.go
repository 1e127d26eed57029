//go:build pictures

package browsertest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"carrier/internal/app/apptest"
	"carrier/internal/demo"
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
	var out lines
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
		console, token = out.find("CARRIER_ADMIN_URL"), out.find("CARRIER_ADMIN_TOKEN")
		return console != "" && token != ""
	}, apptest.Text("the demo's address and token"))
	<-time.After(pictureAfter)
	return console, token
}

// pictureAfter is for how long the demo runs before it is pictured, so that its charts show something.
const pictureAfter = 4 * time.Minute

// lines is what the demo prints.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// find is the value of a variable that the lines export; empty if it was not printed yet.
func (l *lines) find(name string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := regexp.MustCompile(`export ` + name + `=(\S+)`).FindSubmatch(l.text.Bytes()); m != nil {
		return string(m[1])
	}
	return ""
}
