package browsertest

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// look is how a visitor wants the pages to be.
type look struct{ lang, theme string }

var (
	langs  = []string{"en", "zh-CN"}
	themes = []string{"light", "dark"}
	// widths are a desk and a phone, in CSS pixels.
	widths = []int64{1280, 390}
)

// tour visits every page with a look, and tells of each.
func (s *scene) tour(t *testing.T, l look, see func(b *tab, name string)) {
	t.Helper()
	b := openTab(t, s.Admin)
	b.open("/login?lang=" + l.lang + "&theme=" + l.theme)
	visit := func(places []place) {
		for _, p := range places {
			name := fmt.Sprintf("%s-%s-%s", p.name, l.lang, l.theme)
			if status := p.visit(b); status != p.status {
				t.Errorf("%s was answered %d, want %d", name, status, p.status)
			}
			see(b, name)
		}
	}
	visit(outside())
	b.logIn(s.Operator)
	visit(s.inside())
}

// TestPages looks at every page in both languages and themes, on a desk and on a phone: it is answered as it should be,
// breaks no policy, asks nobody else for anything, writes nothing to the console, and fits the width.
func TestPages(t *testing.T) {
	t.Parallel()
	s := startScene(t)
	for _, lang := range langs {
		for _, theme := range themes {
			t.Run(lang+"-"+theme, func(t *testing.T) {
				s.tour(t, look{lang, theme}, func(b *tab, name string) {
					b.follows(name, look{lang, theme})
					for _, width := range widths {
						b.resize(width)
						b.fits(name, width)
						b.screenshot(name, width)
					}
					b.well(name)
				})
			})
		}
	}
}

// follows fails the test unless the page is in the language and theme that were asked for.
func (b *tab) follows(name string, l look) {
	b.t.Helper()
	got := eval[string](b, "document.documentElement.lang + ' ' + document.documentElement.dataset.theme + ' ' + document.querySelectorAll('h1').length")
	if want := l.lang + " " + l.theme + " 1"; got != want {
		b.t.Errorf("%s: language, theme and headings are %s, want %s", name, got, want)
	}
}

func (b *tab) resize(width int64) {
	b.t.Helper()
	b.do("resizing", chromedp.EmulateViewport(width, 844))
}

// tooWide names what sticks out of the page, for the message.
const tooWide = `[...document.querySelectorAll("main *, header *, footer *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 &&
	!e.closest(".scroll, nav")).slice(0, 3).map((e) => e.outerHTML.slice(0, 120)).join("\n")`

// fits fails the test if the page must be scrolled sideways.
func (b *tab) fits(name string, width int64) {
	b.t.Helper()
	if got := eval[int64](b, "document.scrollingElement.scrollWidth"); got > width {
		b.t.Errorf("%s is %d pixels wide in %d: %s", name, got, width, eval[string](b, tooWide))
	}
}

// screenshot writes a picture of the whole page, where a folder for them is named.
func (b *tab) screenshot(name string, width int64) {
	b.t.Helper()
	folder := os.Getenv(screenshotsEnv)
	if folder == "" {
		return
	}
	picture := call(b, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatPng, CaptureBeyondViewport: new(true)})
	path := filepath.Join(folder, fmt.Sprintf("%s-%d.png", name, width))
	if err := os.WriteFile(path, picture.Data, 0o600); err != nil {
		b.t.Error(err)
	}
}

// TestSystemTheme: who chose no theme has the system's, and the link to the other one takes them there.
func TestSystemTheme(t *testing.T) {
	t.Parallel()
	s := startPlain(t)
	b := openTab(t, s.Admin)
	const ground = "getComputedStyle(document.body).backgroundColor"
	grounds := map[string]string{}
	for _, theme := range themes {
		call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}},
		})
		if status := b.open("/login"); status != http.StatusOK {
			t.Errorf("answered %d", status)
		}
		grounds[theme] = eval[string](b, ground)
	}
	if grounds["light"] == grounds["dark"] {
		t.Errorf("both themes have the ground %s", grounds["light"])
	}
	if b.click(".to-light"); eval[string](b, ground) != grounds["light"] {
		t.Error("the link to the light theme does not lead there")
	}
	b.well("themes")
}
