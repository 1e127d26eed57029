package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"carrier/internal/app"
	"carrier/internal/app/apptest"
	"carrier/internal/config"
	"carrier/internal/telemetry"
	"carrier/internal/wiretest"
)

const (
	canarySecret      = "canary+app/secret=0123456789&abcdef"
	canaryToken       = "canary-waybill-Token-+/=-0123456789"
	canaryAccessToken = "97_canary-access-token-0123456789abcdefghijklmnopqrstuvwxyz"
	canaryPhone       = "18612345678"
)

// gossip is an upstream that repeats everything it hears: what a debugging proxy, or a careless gateway, answers.
func gossip(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	heard := fmt.Sprintf("%s %s phone=%s", r.URL, body, canaryPhone)
	if parent := r.Header.Get("Traceparent") + r.Header.Get("Tracestate") + r.Header.Get("Baggage"); parent != "" {
		panic("upstream was sent the trace " + parent)
	}
	answer := func(code int) {
		_ = json.NewEncoder(w).Encode(map[string]any{"errcode": code, "errmsg": heard + " rid: 1-2-3"})
	}
	var push struct {
		WaybillID string `json:"waybill_id"`
	}
	_ = json.Unmarshal(body, &push)
	switch {
	case strings.HasPrefix(r.URL.Path, "/refusing/"): // The calls for an access_token hear the app secret.
		answer(40125)
	case strings.HasPrefix(r.URL.Path, "/busy/"):
		answer(-1)
	case strings.HasSuffix(r.URL.Path, "token"):
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": canaryAccessToken, "expires_in": 7200})
	case strings.HasSuffix(r.URL.Path, "/openapi/quota/get"):
		answer(48001)
	case push.WaybillID == "EVENT":
		answer(47001)
	case push.WaybillID == "TOKEN":
		answer(9300507)
	case push.WaybillID == "BUSY":
		answer(-1)
	case push.WaybillID == "HTML":
		_, _ = fmt.Fprintf(w, "<html><body>%s</body></html>", heard)
	case push.WaybillID == "REDIRECT":
		w.Header().Set("Location", "http://127.0.0.1:1/?"+r.URL.RawQuery)
		w.WriteHeader(http.StatusTemporaryRedirect)
	case push.WaybillID == "HEADER":
		panic(http.ErrAbortHandler)
	case push.WaybillID == "ACCOUNT":
		answer(48001)
	default:
		answer(0)
	}
}

// TestCanaries runs the service with secrets that can be recognised, an upstream that repeats them and one that is not
// there, and looks for them in everything that comes out (law L9).
func TestCanaries(t *testing.T) {
	dead := "http://" + wiretest.Nobody(t)
	gossiping := apptest.Serve(t, http.HandlerFunc(gossip))
	settings := apptest.NewSettings(t,
		apptest.Account{DeliveryID: "SF", BaseURL: gossiping, Secret: canarySecret},
		apptest.Account{DeliveryID: "DEAD", BaseURL: dead, Secret: canarySecret, TokenMode: "basic"},
		apptest.Account{DeliveryID: "PAUSED", BaseURL: gossiping, Secret: canarySecret},
		apptest.Account{DeliveryID: "REFUSED", BaseURL: gossiping + "/refusing", Secret: canarySecret},
		apptest.Account{DeliveryID: "BASIC", BaseURL: gossiping + "/refusing", Secret: canarySecret, TokenMode: "basic"},
		apptest.Account{DeliveryID: "BUSY", BaseURL: gossiping + "/busy", Secret: canarySecret, TokenMode: "basic"},
	)
	settings.LogLevel = "debug"
	spans := &spanKeeper{}
	s := startTraced(t, settings, newTracing(t, spans))

	var seqs []uint64
	send := func(deliveryID, waybill string) {
		e := scan(waybill, 1, 100001)
		e.ID += deliveryID
		e.DeliveryID, e.Token, e.ActionMsg = deliveryID, canaryToken, "张三【"+canaryPhone+"】已揽件"
		seqs = append(seqs, s.Accept(t, e)...)
	}
	outcomes := map[string]string{"FINE": "delivered", "EVENT": "failed", "TOKEN": "failed", "BUSY": "pending", "HTML": "pending",
		"REDIRECT": "pending", "HEADER": "pending"}
	for waybill := range outcomes {
		send("SF", waybill)
	}
	send("DEAD", "DEAD")
	send("PAUSED", "ACCOUNT")
	for _, account := range []string{"REFUSED", "BASIC", "BUSY"} {
		send(account, "FINE")
	}
	tried := func() bool {
		for _, p := range s.Pushes(t, "delivery_id=SF") {
			if want := outcomes[p.WaybillID]; p.Status != want || p.Attempts < 1 {
				return false
			}
		}
		for _, account := range []string{"DEAD", "PAUSED", "REFUSED", "BASIC", "BUSY"} {
			if !s.Account(t, account).Paused {
				return false
			}
		}
		return s.Account(t, "SF").Quota.AskError != ""
	}
	apptest.Eventually(t, soon, tried, func() string { return fmt.Sprintf("every push is tried: %+v", s.Pushes(t, "")) })

	refusals := provoke(t, s, settings)
	pages := adminPages(t, s, seqs)
	maps.Copy(pages, consolePages(t, s, seqs))
	var goroutines strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&goroutines, 1); err != nil { // With the labels of each.
		t.Fatal(err)
	}
	s.stop() // What the stop logs counts too.

	secrets := map[string]string{
		"the app secret": canarySecret, "the Token": canaryToken, "the access_token": canaryAccessToken,
		"the api key": settings.Key, "the operator's token": settings.Operator, "the viewer's token": settings.Viewer,
		"the signing secret": strings.TrimPrefix(settings.SigningSecret, "whsec_"),
	}
	outputs := map[string]string{"the log": s.log.String(), "the answers to wrong requests": refusals, "the spans": spans.text(),
		"the profile of goroutines": goroutines.String()}
	maps.Copy(outputs, pages)
	for where, text := range outputs {
		if text == "" {
			t.Errorf("%s is empty: nothing was looked at", where)
		}
		for what, secret := range secrets {
			for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), jsonForm(secret), jsonForm(jsonForm(secret))} {
				if i := strings.Index(text, form); i >= 0 {
					t.Errorf("%s is in %s: ...%s...", what, where, text[max(0, i-100):min(len(text), i+len(form)+20)])
				}
			}
		}
		if strings.HasPrefix(where, "the operator's ") {
			continue // Operators see what the customer sees.
		}
		if i := strings.Index(text, canaryPhone); i >= 0 {
			t.Errorf("the phone number is in %s: ...%s...", where, text[max(0, i-100):min(len(text), i+40)])
		}
	}
	keysAreNamedOnce(t, s.log.String())
	if fetches := spans.named("fetch access_token"); !slices.ContainsFunc(fetches, func(s tracetest.SpanStub) bool { return s.Status.Code == codes.Error }) {
		t.Errorf("no fetch of an access_token that failed has a span; there are %d", len(fetches))
	}
	if list := pages["the operator's /admin/v1/pushes"]; !strings.Contains(list, canaryPhone) {
		t.Error("the operator does not see the phone number in the text of a push")
	}
	if list := pages["the viewer's /admin/v1/pushes"]; !strings.Contains(list, "186****5678") {
		t.Error("the viewer does not see the masked phone number")
	}
}

// jsonForm is a text as JSON writes it, without the quotes.
func jsonForm(s string) string {
	b, _ := json.Marshal(s)
	return strings.Trim(string(b), `"`)
}

// provoke makes requests that are refused, with secrets in the wrong places, and returns all that was answered.
func provoke(t *testing.T, s *service, settings *apptest.Settings) string {
	t.Helper()
	var all strings.Builder
	note := func(status int, head http.Header, body []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&all, status, head, string(body))
	}
	bearer := func(key string) func(*http.Request, []byte) {
		return func(r *http.Request, _ []byte) { r.Header.Set("Authorization", "Bearer "+key) }
	}
	event := `{"id":"1","waybill_id":"W","action_type":1,"action_time":1,"action_msg":"` + canaryPhone + `","token":"` +
		strings.Repeat(canaryToken, 10) + `","secret":"` + canarySecret + `"}`
	note(s.Do(t.Context(), http.MethodPost, s.Events+"/v1/events", "application/json", []byte(event), bearer(settings.Key)))
	note(s.Do(t.Context(), http.MethodPost, s.Events+"/v1/events", "application/json", []byte(event), bearer(settings.Key+"x")))
	note(s.Do(t.Context(), http.MethodPost, s.Events+"/v1/events", "application/json", []byte(event), bearer(settings.SigningSecret)))
	note(s.Do(t.Context(), http.MethodPost, s.Events+"/v1/events", "application/json", []byte(event[:200]), bearer(settings.Key)))
	note(s.Do(t.Context(), http.MethodPost, s.Events+"/v1/events/batch", "application/x-ndjson", []byte(event+"\n"+event), bearer(settings.Key)))
	note(s.Do(t.Context(), http.MethodGet, s.Admin+"/admin/v1/pushes?token="+canaryToken[:10], "", nil, bearer(settings.Operator)))
	note(s.Do(t.Context(), http.MethodGet, s.Admin+"/admin/v1/pushes", "", nil, bearer(settings.Key)))
	note(s.Do(t.Context(), http.MethodPut, s.Admin+"/admin/v1/waybills/SF/FINE/token", "application/json",
		[]byte(`{"token":"`+strings.Repeat(canaryToken, 10)+`"}`), bearer(settings.Operator)))
	note(s.Do(t.Context(), http.MethodPut, s.Admin+"/admin/v1/waybills/SF/FINE/token", "application/json",
		[]byte(`{"token":["`+canaryToken+`"]}`), bearer(settings.Operator)))
	note(s.Do(t.Context(), http.MethodPut, s.Admin+"/admin/v1/waybills/SF/NEW/token", "application/json",
		[]byte(`{"token":"`+canaryToken+`"}`), bearer(settings.Operator)))
	note(s.Do(t.Context(), http.MethodPost, s.Admin+"/admin/v1/accounts/SF/pause", "application/json", []byte(`{"reason":"a test"}`), bearer(settings.Operator)))
	return all.String()
}

// adminPages reads everything that can be read, as both roles.
func adminPages(t *testing.T, s *service, seqs []uint64) map[string]string {
	t.Helper()
	paths := []string{"/metrics", "/readyz", "/livez", "/admin/v1/pushes", "/admin/v1/events", "/admin/v1/accounts",
		"/admin/v1/replays", "/admin/v1/audit", "/admin/v1/dead-letters", "/admin/v1/stats"}
	for _, seq := range seqs {
		paths = append(paths, fmt.Sprintf("/admin/v1/pushes/%d", seq))
	}
	for _, w := range []string{"SF/FINE", "SF/EVENT", "SF/TOKEN", "SF/BUSY", "SF/HTML", "SF/REDIRECT", "SF/HEADER", "DEAD/DEAD", "PAUSED/ACCOUNT", "REFUSED/FINE",
		"BASIC/FINE", "BUSY/FINE"} {
		paths = append(paths, "/admin/v1/waybills/"+w)
	}
	pages := map[string]string{}
	for _, path := range paths {
		for who, token := range map[string]string{"the viewer's ": s.Viewer, "the operator's ": s.Operator} {
			status, body := s.AskAs(t, token, http.MethodGet, path, nil)
			if status != http.StatusOK {
				t.Errorf("GET %s as %s answers %d: %s", path, who, status, body)
			}
			pages[who+path] = string(body)
		}
	}
	return pages
}

// consolePages reads the console's pages, as both roles.
func consolePages(t *testing.T, s *service, seqs []uint64) map[string]string {
	t.Helper()
	paths := []string{"/", "/sources", "/accounts", "/pushes", "/pushes.csv", "/replays", "/differences", "/dead-letters", "/audit", "/waybills",
		"/waybills/SF/TOKEN", "/waybills/PAUSED/ACCOUNT", "/events/rejected", "/events/held"}
	for _, seq := range seqs {
		paths = append(paths, fmt.Sprintf("/pushes/%d", seq))
	}
	pages := map[string]string{}
	for who, token := range map[string]string{"the viewer's console ": s.Viewer, "the operator's console ": s.Operator} {
		v := logIn(t, s, token)
		for _, path := range paths {
			pages[who+path] = v.get(t, path)
		}
	}
	return pages
}

// TestCanariesInErrors looks for secrets in what a service says that can't start.
func TestCanariesInErrors(t *testing.T) {
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: "http://127.0.0.1:1", Secret: canarySecret})
	good := settings.YAML()
	for _, c := range []struct{ name, from, to string }{
		{"an unknown key beside the secret", "secret: ", "secrets: "},
		{"a secret of the wrong type", fmt.Sprintf("secret: %q", canarySecret), fmt.Sprintf("secret: [%q]", canarySecret)},
		{"broken YAML after the secret", fmt.Sprintf("secret: %q", canarySecret), fmt.Sprintf("secret: %q\n   x: [", canarySecret)},
		{"a role that is none", "role: viewer", "role: king"},
		{"the same token twice", settings.Operator, settings.Viewer},
		{"a signing secret that is none", "signing_secret: \"whsec_", "signing_secret: \"wrong_"},
		{"a secret in base_url", "http://127.0.0.1:1", "http://user:canary-password@127.0.0.1:1"},
		{"a secret in the store's url", "file:" + settings.Store, "postgres://user:canary-password@127.0.0.1:1/db"},
		{"a taken port", "server: {listen: \"127.0.0.1:0\"", "server: {listen: \"" + taken(t) + "\""},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(good, c.from, c.to, 1)
			if text == good {
				t.Fatalf("%q is not in the configuration", c.from)
			}
			err := loadAndStart(t, text)
			if err == nil {
				t.Fatal("the service can start")
			}
			for _, secret := range []string{canarySecret, settings.Key, settings.Operator, settings.Viewer, "canary-password",
				strings.TrimPrefix(settings.SigningSecret, "whsec_")} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error repeats a secret: %v", err)
				}
			}
		})
	}
}

// taken is an address that somebody listens on.
func taken(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// loadAndStart tries to start a service with a configuration, and closes it if it can be started.
func loadAndStart(t *testing.T, text string) error {
	t.Helper()
	file := writeFile(t, text)
	cfg, err := config.Load(file, nil)
	if err == nil {
		err = cfg.Check()
	}
	if err != nil {
		return err
	}
	a, err := app.New(t.Context(), app.Options{Config: cfg, Log: telemetry.NewLogger(t.Output(), "info", "text")})
	if err != nil {
		return err
	}
	return a.Close()
}

// keysAreNamedOnce fails for a log line that has a key twice: readers of JSON keep one of the values, or refuse the line.
func keysAreNamedOnce(t *testing.T, log string) {
	t.Helper()
	for line := range strings.Lines(log) {
		d := json.NewDecoder(strings.NewReader(line))
		if _, err := d.Token(); err != nil {
			t.Fatalf("%q is no JSON: %v", line, err)
		}
		seen := map[any]bool{}
		for d.More() {
			key, err := d.Token()
			var value json.RawMessage
			if err = errors.Join(err, d.Decode(&value)); err != nil {
				t.Fatalf("%q is no JSON: %v", line, err)
			}
			if seen[key] {
				t.Errorf("the key %v is there twice in %s", key, line)
			}
			seen[key] = true
		}
	}
}
