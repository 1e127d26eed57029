package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// sendWebhook stands in for the service: it rejects one event of the samples, and keeps the last request's header.
func sendWebhook(t *testing.T) (url string, last *http.Header) {
	t.Helper()
	last = new(http.Header)
	var mu sync.Mutex // Guards last: batches come in parallel.
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		*last = r.Header
		mu.Unlock()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		var results []string
		for line := range strings.Lines(string(body)) {
			var e struct{ ID string }
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Errorf("%q: %v", line, err)
			}
			verdict := `"accepted"`
			if e.ID == "sample-0011" {
				verdict = `"rejected","code":"rejected","detail":"300003 can't follow."`
			}
			results = append(results, fmt.Sprintf(`{"index":%d,"id":%q,"verdict":%s}`, len(results), e.ID, verdict))
		}
		_, _ = fmt.Fprintf(w, `{"results":[%s]}`, strings.Join(results, ","))
	}))
	t.Cleanup(srv.Close)
	return srv.URL, last
}

// runSend runs carrier send and returns what it prints.
func runSend(t *testing.T, stdin string, env []string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	return inProcess(t.Context(), env, stdin, append([]string{"send"}, args...)...)
}

const oneEvent = `{"id":"scan-1","waybill_id":"W","action_type":100001,"action_time":1533052800,"action_msg":"已揽收"}` + "\n"

func TestSendPrintsWhatBecameOfTheFile(t *testing.T) {
	url, _ := sendWebhook(t)
	refused := filepath.Join(t.TempDir(), "refused.ndjson")
	status, stdout, stderr := runSend(t, "", []string{"CARRIER_API_KEY=secret-key"},
		"--url", url, "--source", "app", "--refused-to", refused, "../../api/samples/events.csv")
	want := `../../api/samples/events.csv: 12 events in TIME
accepted   11
held       0
ignored    0
duplicate  0
rejected   1
invalid    0
conflict   0

refused:
  line 12 sample-0011: rejected: 300003 can't follow.
`
	if got := regexp.MustCompile(`in [0-9.]+m?s`).ReplaceAllString(stdout, "in TIME"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if status != exitFailed || stderr != "carrier: 1 of 12 events were refused; correct them and send the file again\n" {
		t.Errorf("status %d, %q", status, stderr)
	}
	kept, err := os.ReadFile(refused)
	want = `{"line":12,"id":"sample-0011","waybill_id":"98765432109876543210","verdict":"rejected","code":"rejected","message":"300003 can't follow."}` + "\n"
	if err != nil || string(kept) != want {
		t.Errorf("--refused-to holds %s, %v", kept, err)
	}
}

func TestSendTakesCredentials(t *testing.T) {
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("s", 32)))
	for _, test := range []struct {
		name   string
		env    []string
		args   []string
		bearer string // "": signed.
	}{
		{"key in the environment", []string{"CARRIER_API_KEY=env-key"}, nil, "Bearer env-key"},
		{"key in a file", []string{"CARRIER_API_KEY=env-key", "CARRIER_SIGNING_SECRET=" + secret},
			[]string{"--key-file", fileOf(t, "key", "file-key\r\n")}, "Bearer file-key"},
		{"secret in the environment", []string{"CARRIER_API_KEY=env-key", "CARRIER_SIGNING_SECRET=" + secret}, nil, ""},
		{"secret in a file", []string{"CARRIER_API_KEY=env-key"}, []string{"--signing-secret-file", fileOf(t, "secret", secret+"\n")}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			url, last := sendWebhook(t)
			status, stdout, stderr := runSend(t, oneEvent, test.env, append(test.args, "--url", url, "--json", "-")...)
			if status != exitDone || stderr != "" {
				t.Fatalf("status %d, %q", status, stderr)
			}
			var summary struct {
				File   string
				Events int
				Counts map[string]int
			}
			if err := json.Unmarshal([]byte(stdout), &summary); err != nil || summary.File != "standard input" || summary.Counts["accepted"] != 1 {
				t.Errorf("%s, %v", stdout, err)
			}
			if got := last.Get("Authorization"); got != test.bearer {
				t.Errorf("Authorization is %q", got)
			}
			if signed := last.Get("Webhook-Signature") != ""; signed != (test.bearer == "") {
				t.Errorf("the header is %v", *last)
			}
		})
	}
}

func TestSendSaysWhatIsWrong(t *testing.T) {
	events := fileOf(t, "events.ndjson", oneEvent)
	key := []string{"CARRIER_API_KEY=secret-key"}
	for _, test := range []struct {
		name   string
		env    []string
		args   []string
		status int
		want   string
	}{
		{"no file", key, []string{}, exitUsage, `expected "<file>"`},
		{"no such file", key, []string{"nowhere.csv"}, exitUsage, "open nowhere.csv: "},
		{"a folder", key, []string{"."}, exitUsage, ". is a folder; name a file"},
		{"no key", nil, []string{events}, exitUsage, "put the source's API key into CARRIER_API_KEY or a file (--key-file)"},
		{"a broken key", []string{"CARRIER_API_KEY=secret key"}, []string{events}, exitUsage, "the API key must be visible ASCII"},
		{"a broken secret", []string{"CARRIER_SIGNING_SECRET=secret-key"}, []string{events}, exitUsage, "CARRIER_SIGNING_SECRET: a signing secret is whsec_"},
		{"no key file", nil, []string{"--key-file", "nowhere", events}, exitUsage, "--key-file: open nowhere: "},
		{"an empty key file", nil, []string{"--key-file", fileOf(t, "empty", "\n"), events}, exitUsage, "is empty; write the secret into it"},
		{"both", nil, []string{"--key-file", events, "--signing-secret-file", events, events}, exitUsage, "not both"},
		{"URL", key, []string{"--url", "localhost:8080", events}, exitUsage, "the URL must be the service's address"},
		{"format", key, []string{"--format", "xml", events}, exitUsage, "--format must be one of"},
		{"batch", key, []string{"--batch", "1001", events}, exitUsage, "--batch must be 1 to 1000"},
		{"parallel", key, []string{"--parallel", "0", events}, exitUsage, "--parallel must be 1 to 64"},
		{"retry-for", key, []string{"--retry-for=-1s", events}, exitUsage, "--retry-for must not be below 0s"},
		{"from-line", key, []string{"--from-line", "0", events}, exitUsage, "--from-line must be 1 or above"},
		{"source", key, []string{"--source", "a.b", events}, exitUsage, "--source must be 1 to 64 letters"},
		{"refused-to the file itself", key, []string{"--refused-to", events, events}, exitUsage, "--refused-to is the file that is sent"},
		{"refused-to nowhere", key, []string{"--refused-to", "no/where", events}, exitUsage, "--refused-to: open no/where"},
		{"nobody there", key, []string{"--url", "http://127.0.0.1:1", "--retry-for", "0s", events}, exitFailed, "is the service running there?"},
		{"a mistake in the header", key, []string{fileOf(t, "x.csv", "waybil_id,id\n")}, exitFailed, "did you mean waybill_id?"},
		{"dry run of a mistake", nil, []string{"--dry-run", fileOf(t, "x.ndjson", "no\n")}, exitFailed, "1 of 1 events can't be sent as they are"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, stdout, stderr := runSend(t, "", test.env, test.args...)
			if status != test.status || !strings.HasPrefix(stderr, "carrier: ") || !strings.Contains(stderr, test.want) {
				t.Errorf("status %d, %q; want %d, %q", status, stderr, test.status, test.want)
			}
			if strings.Count(stderr, "\n") != 1 || strings.Contains(stderr+stdout, "secret-key") || strings.Contains(stderr+stdout, "secret key") {
				t.Errorf("%q, %q", stderr, stdout)
			}
		})
	}
	if text, err := os.ReadFile(events); err != nil || string(text) != oneEvent {
		t.Errorf("the file that was sent is now %q, %v", text, err)
	}
}

func TestSendSaysWhereToGoOn(t *testing.T) {
	url, _ := sendWebhook(t)
	path := fileOf(t, "x.csv", "id,waybill_id,action_type,action_time,action_msg\na,W,100001,1,x\nb,W,200001,2,\"x\n")
	status, stdout, stderr := runSend(t, "", []string{"CARRIER_API_KEY=k"}, "--url", url, path)
	if status != exitFailed || !strings.HasSuffix(stderr, "; all before line 3 is settled, so go on with --from-line 3\n") || !strings.Contains(stdout, "accepted   1\n") {
		t.Errorf("status %d, %q\n%s", status, stderr, stdout)
	}
	status, stdout, _ = runSend(t, "", nil, "--dry-run", "../../api/samples/events.ndjson")
	if status != exitDone || !strings.Contains(stdout, "well formed 12\n") {
		t.Errorf("status %d\n%s", status, stdout)
	}
	status, _, stderr = runSend(t, "", nil, "--dry-run", path)
	if status != exitFailed || !strings.HasSuffix(stderr, "add the closing quote; nothing was sent\n") {
		t.Errorf("status %d, %q", status, stderr)
	}
}
