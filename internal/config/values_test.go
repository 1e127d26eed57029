package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"pgregory.net/rapid"
)

func TestDurationText(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0": 0, "2m": 2 * time.Minute, "720h": 720 * time.Hour, "1h0m5s": time.Hour + 5*time.Second,
		"1h30m": 90 * time.Minute, "1.5s": 1500 * time.Millisecond, "10s": 10 * time.Second, "-1h": -time.Hour,
		"100h10m": 100*time.Hour + 10*time.Minute, "10m": 10 * time.Minute, "20h": 20 * time.Hour,
	} {
		if got := Duration(d).String(); got != want {
			t.Errorf("%d is written %q, want %q", d, got, want)
		}
	}
}

func TestDurationRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Duration(rapid.Int64().Draw(t, "d"))
		text, err := want.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var got Duration
		if err := got.UnmarshalText(text); err != nil || got != want {
			t.Fatalf("%s is read as %d (%v), want %d", text, got, err, want)
		}
	})
}

func TestSizeText(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Size
		back string
	}{
		{"0", 0, "0"}, {"1023", 1023, "1023"}, {"1024", KiB, "1KiB"}, {"64KiB", 64 * KiB, "64KiB"}, {"1024KiB", MiB, "1MiB"},
		{"1 MiB", MiB, "1MiB"}, {"2GiB", 2 * GiB, "2GiB"}, {"-1", -1, "-1"}, {"1536", 1536, "1536"},
	} {
		var got Size
		if err := got.UnmarshalText([]byte(tt.text)); err != nil || got != tt.want || got.String() != tt.back {
			t.Errorf("%q is %d, written %q (%v); want %d, %q", tt.text, got, got, err, tt.want, tt.back)
		}
	}
	for _, text := range []string{"", "KiB", "1.5MiB", "1MB", "1kib", "1  MiB", " 1", "01", "0x1", "1e3", "8589934592GiB", "9223372036854775808"} {
		if err := new(Size).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken as a size", text)
		}
	}
}

func TestSizeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Size(rapid.Int64().Draw(t, "bytes"))
		var got Size
		if err := got.UnmarshalText([]byte(want.String())); err != nil || got != want {
			t.Fatalf("%s is read as %d (%v), want %d", want, got, err, want)
		}
	})
}

func TestExpand(t *testing.T) {
	env := map[string]string{"A": "1", "B_2": "${A}$${A}", "EMPTY": ""}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	for _, tt := range []struct {
		text, want, used string
	}{
		{"", "", ""},
		{"plain $ and } and $A and $$", "plain $ and } and $A and $$", ""},
		{"${A}", "1", "A"},
		{"a${A}b${B_2}c", "a1b${A}$${A}c", "B_2"},
		{"$${A}", "${A}", ""},
		{"$$${A}", "$${A}", ""},
		{"${A}$${A}", "1${A}", "A"},
		{"[${EMPTY}]", "[]", "EMPTY"},
	} {
		got, used, err := expand(tt.text, lookup)
		if got != tt.want || used != tt.used || err != nil {
			t.Errorf("expand(%q) = %q, %q, %v; want %q, %q", tt.text, got, used, err, tt.want, tt.used)
		}
	}
	for _, text := range []string{"${", "${}", "${A", "${A B}", "${1A}", "${A:-x}", "${${A}}", "a${C}"} {
		if got, _, err := expand(text, lookup); err == nil {
			t.Errorf("expand(%q) = %q, want an error", text, got)
		}
	}
}

// Any text can be written so that it comes out as it was.
func TestExpandEscapes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.SampledFrom([]string{"$", "{", "}", "${", "$${", "${A}", "A", " ", "世"})).Draw(t, "parts")
		want := strings.Join(parts, "")
		got, used, err := expand(strings.ReplaceAll(want, "${", "$${"), func(string) (string, bool) { return "wrong", true })
		if got != want || used != "" || err != nil {
			t.Fatalf("got %q, %q, %v; want %q", got, used, err, want)
		}
	})
}

// holder has secrets in every place that printing looks into.
type holder struct {
	Secret Secret            `json:"secret"`
	List   []Secret          `json:"list"`
	Map    map[string]Secret `json:"map"`
	DSN    DSN               `json:"dsn"`
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	const raw = "CANARY"
	h := holder{Secret: raw, List: []Secret{raw}, Map: map[string]Secret{"k": raw}, DSN: "postgres://u:" + raw + "@db/x?password=" + raw}
	c := Default()
	c.Store.URL, c.NATS.URL = h.DSN, "nats://u:CANARY@a:1,nats://CANARY@b:1"
	c.Accounts = []Account{{Secret: raw, Callback: Callback{Token: raw, EncodingAESKey: raw, PreviousEncodingAESKey: raw}, Orders: Orders{Secret: raw}}}
	c.Sources = []Source{{APIKey: raw, SigningSecret: raw}}
	c.Merchants, c.Admin.Tokens = []Merchant{{Secret: raw}}, []AdminToken{{Token: raw}}

	var out strings.Builder
	for _, v := range []any{h, &h, h.Secret, h.DSN, *c, c} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%t", "%e", "%c", "%U", "%o", "%T", "%20s", "%!"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		fmt.Fprintln(&out, v)
		for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(handler).Info("x", "v", v)
		}
		for _, marshal := range []func(any) ([]byte, error){json.Marshal, func(v any) ([]byte, error) { return yaml.Marshal(v) }} {
			text, err := marshal(v)
			if err != nil {
				t.Errorf("%T can't be encoded: %v", v, err)
			}
			out.Write(text)
		}
		fmt.Fprintln(&out, fmt.Errorf("x: %w, %v", fmt.Errorf("%v", v), v))
	}
	if text := out.String(); strings.Contains(text, raw) || strings.Contains(strings.ToLower(text), "43414e415259") {
		at := max(0, strings.Index(text, raw)-100)
		t.Errorf("a secret is printed: ...%s", text[at:min(len(text), at+200)])
	}
	if h.Secret.Reveal() != raw || h.DSN.Reveal() != string(h.DSN) {
		t.Error("Reveal doesn't give the value")
	}
}

func TestSecretsShowWhetherTheyAreSet(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{fmt.Sprint(Secret("x")), "***"},
		{fmt.Sprint(Secret("")), ""},
		{fmt.Sprintf("%q", Secret("x")), `"***"`},
		{fmt.Sprintf("%#v", Secret("x")), `config.Secret("***")`},
		{fmt.Sprint(DSN("")), ""},
		{fmt.Sprint(DSN("file:carrier-data")), "file:carrier-data"},
		{fmt.Sprint(DSN("postgres://db:5432/carrier")), "postgres://db:5432/carrier"},
		{fmt.Sprint(DSN("postgres://u:p@db:5432/carrier?password=p")), "postgres://***@db:5432/carrier?***"},
		{fmt.Sprint(DSN("postgres://u:p,@db/x")), "postgres://***@db/x"},
		{fmt.Sprint(DSN("postgres://u:p%zz@db/x")), "***"},
		{fmt.Sprint(DSN("host=db password=p")), "***"},
		{fmt.Sprint(DSN("nats://a:1,nats://u:p@b:2")), "nats://a:1,nats://***@b:2"},
		{fmt.Sprintf("%#v", DSN("embedded")), `config.DSN("embedded")`},
	} {
		if tt.got != tt.want {
			t.Errorf("got %s, want %s", tt.got, tt.want)
		}
	}
}

func TestNearest(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "ab", 2}, {"listn", "listen", 1}, {"fromat", "format", 1}, {"abc", "xyz", 3}, {"rate", "rates", 1}} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
	if got := nearest("LISTNE", []string{"rate", "listen", "name"}); got != "listen" {
		t.Errorf("nearest is %q", got)
	}
}
