package console

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"testing"
)

// TestContrast computes the contrast of each pair of colours that text is written in, in both themes: WCAG 2.2, 1.4.3 (AA)
// asks for 4.5:1.
func TestContrast(t *testing.T) {
	css, err := staticFiles.ReadFile("static/console.css")
	if err != nil {
		t.Fatal(err)
	}
	colours := map[string][2]string{}
	for _, m := range regexp.MustCompile(`--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)`).FindAllStringSubmatch(string(css), -1) {
		colours[m[1]] = [2]string{m[2], m[3]}
	}
	colours["on-accent"] = [2]string{"#ffffff", "#ffffff"}
	pairs := [][2]string{
		{"on-accent", "accent"}, {"on-accent", "danger"}, {"good", "good-ground"}, {"warn", "warn-ground"}, {"bad", "bad-ground"},
		{"text", "good-ground"}, {"text", "warn-ground"}, {"text", "bad-ground"}, {"quiet", "bad-ground"}, {"quiet", "warn-ground"}, {"link", "mark"},
	}
	for _, ground := range []string{"ground", "raised", "mark"} {
		pairs = append(pairs, [2]string{"text", ground}, [2]string{"quiet", ground}, [2]string{"link", ground})
	}
	for _, pair := range pairs {
		for i, theme := range []string{"light", "dark"} {
			fore, back := colours[pair[0]][i], colours[pair[1]][i]
			if got := contrast(t, fore, back); got < 4.5 {
				t.Errorf("%s on %s (%s on %s) has a contrast of %.2f in the %s theme, want 4.5", pair[0], pair[1], fore, back, got, theme)
			}
		}
	}
}

func contrast(t *testing.T, a, b string) float64 {
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

// luminance is the relative luminance of #rrggbb.
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	if len(colour) != 7 {
		t.Fatalf("%q is no colour", colour)
	}
	var sum float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(fmt.Errorf("%s: %w", colour, err))
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}
