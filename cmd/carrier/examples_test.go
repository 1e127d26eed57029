package main

import (
	"bytes"
	"cmp"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"carrier/internal/app/apptest"
)

// examples are the clients in api/examples, each with the program that runs it.
var examples = []struct {
	name    string
	needs   []string // Programs on the PATH.
	version []string // Prints the version of the first of them,
	atLeast int      // of which this is the least, as far as to the first dot.
	command func(t *testing.T) []string
}{
	{"curl", []string{"bash", "curl", "openssl"}, nil, 0, script("bash", "send.sh")},
	{"Go", []string{"go"}, nil, 0, buildExample},
	{"Python", []string{"python3"}, []string{"python3", "--version"}, 3, script("python3", "send.py")},
	{"Java", []string{"java"}, []string{"java", "--version"}, 17, script("java", "Send.java")},
	{"Node", []string{"node"}, []string{"node", "--version"}, 18, script("node", "send.mjs")},
}

const examplesDir = "../../api/examples/"

func script(program, file string) func(*testing.T) []string {
	return func(*testing.T) []string { return []string{program, examplesDir + file} }
}

func buildExample(t *testing.T) []string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "send")
	if out, err := exec.Command("go", "build", "-o", binary, "carrier/api/examples/go/send").CombinedOutput(); err != nil {
		t.Fatalf("building the example: %v\n%s", err, out)
	}
	return []string{binary}
}

// exampleEvents are one of each kind, for a waybill of each example's own, and what has to be said of them.
const exampleEvents = `{"id":"WAYBILL-1","delivery_id":"SF","waybill_id":"WAYBILL","action_type":100001,"action_time":1790000000,"action_msg":"已揽收 <&> \"q\""}
{"id":"WAYBILL-2","delivery_id":"SF","waybill_id":"WAYBILL","action_type":200001,"action_time":1790000010,"action_msg":"到达深圳"}
{"id":"WAYBILL-1","delivery_id":"SF","waybill_id":"WAYBILL","action_type":100001,"action_time":1790000000,"action_msg":"已揽收 <&> \"q\""}

{"id":"WAYBILL-1","delivery_id":"SF","waybill_id":"WAYBILL","action_type":100001,"action_time":1790000000,"action_msg":"别的"}
{"id":"WAYBILL-3","delivery_id":"SF","waybill_id":"WAYBILL","action_type":100002,"action_time":1790000020,"action_msg":"揽件失败"}
{"id":"WAYBILL-4","delivery_id":"SF","waybill_id":"WAYBILL","action_type":200001,"action_time":1790000020000,"action_msg":"毫秒"}
{"id":"WAYBILL-5","delivery_id":"SF","waybill_id":"WAYBILL-gap","action_type":300002,"action_time":1790000020,"action_msg":"正在派件"}
{broken
`

const exampleVerdicts = `WAYBILL-1 accepted
WAYBILL-2 accepted
WAYBILL-1 duplicate
WAYBILL-1 conflict
WAYBILL-3 rejected
WAYBILL-4 invalid
WAYBILL-5 held
- invalid
`

// TestExamples runs the clients of every language that is present, through a network that makes them send again.
func TestExamples(t *testing.T) {
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: "http://127.0.0.1:9"})
	_, service := serveCarrier(t, settings, settings.File(t))
	for _, e := range examples {
		t.Run(e.name, func(t *testing.T) {
			present(t, e.needs, e.version, e.atLeast)
			rough := newRoughRoad(t, service.Events)
			client := exampleClient{command: e.command(t), settings: settings}
			waybill := "W-" + e.name

			// Nothing is taken at first; then all of it is.
			rough.refuse(http.StatusServiceUnavailable, http.StatusTooManyRequests)
			status, said := client.run(t, true, "send", rough.url, fileOf(t, "events.ndjson", strings.ReplaceAll(exampleEvents, "WAYBILL", waybill)))
			if want := strings.ReplaceAll(exampleVerdicts, "WAYBILL", waybill); said != want || status != 1 {
				t.Errorf("it ended with status %d, want 1, and said\n%s, want\n%s", status, said, want)
			}
			// The answer is lost: the same event again is a duplicate. This one comes with the source's key.
			rough.loseAnswers(1)
			one := `{"id":"` + waybill + `-9","delivery_id":"SF","waybill_id":"` + waybill + `","action_type":300002,"action_time":1790000030,"action_msg":"正在派件"}`
			if status, said = client.run(t, false, "send", rough.url+"/", fileOf(t, "events.ndjson", one)); said != waybill+"-9 duplicate\n" || status != 0 {
				t.Errorf("it ended with status %d, want 0, and said %q", status, said)
			}
			rough.check(t)

			status, said = client.run(t, false, "token", service.Admin, "SF", waybill, `TOKEN`)
			if w := service.Waybill(t, "SF", waybill); !w.TokenSet || said != waybill+" token_set\n" || status != 0 {
				t.Errorf("the Token is set: %v; it ended with status %d and said %q", w.TokenSet, status, said)
			}
			// What no attempt can mend ends at once.
			wrong := exampleClient{command: client.command, settings: apptest.NewSettings(t)}
			if status, said = wrong.run(t, false, "send", service.Events, fileOf(t, "events.ndjson", one)); status != 1 || said != "" {
				t.Errorf("with a wrong key it ended with status %d and said %q", status, said)
			}
		})
	}
}

// present skips the test where a program is missing or too old; where REQUIRE_EXAMPLES is set, it fails.
func present(t *testing.T, needs, version []string, atLeast int) {
	t.Helper()
	give := t.Skipf
	if os.Getenv("REQUIRE_EXAMPLES") != "" {
		give = t.Fatalf
	}
	for _, program := range needs {
		if _, err := exec.LookPath(program); err != nil {
			give("there is no %s here", program)
		}
	}
	if version == nil {
		return
	}
	out, err := exec.Command(version[0], version[1:]...).Output()
	major, _ := strconv.Atoi(regexp.MustCompile(`\d+`).FindString(string(out)))
	if err != nil || major < atLeast {
		give("%s says %q (%v); it takes version %d", version[0], out, err, atLeast)
	}
}

// exampleClient runs one example.
type exampleClient struct {
	command  []string
	settings *apptest.Settings
}

// run returns the exit status and what was printed; credentials are the signing secret's or the key's.
func (c *exampleClient) run(t *testing.T, signed bool, args ...string) (status int, stdout string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), c.command[0], append(slices.Clone(c.command[1:]), args...)...)
	credentials := "CARRIER_API_KEY=" + c.settings.Key
	if signed {
		credentials = "CARRIER_SIGNING_SECRET=" + c.settings.SigningSecret
	}
	// Nothing else, proxies above all. JAVA_TOOL_OPTIONS keeps the compiler quick, and is announced on standard error.
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + t.TempDir(), "JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1",
		credentials, "CARRIER_ADMIN_TOKEN=" + c.settings.Operator,
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	t.Logf("%s %q: %v\n%s", c.command[0], args, err, &errs)
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

// roughRoad leads to the service, and does not always let requests or answers through.
type roughRoad struct {
	url   string
	proxy *httputil.ReverseProxy

	mu       sync.Mutex
	refusals []int               // What the first attempts of each request are answered.
	lost     int                 // Answers of each request that are lost after those.
	attempts map[string][]string // Each request's bodies, by its webhook-id or, where none is sent, its body.
}

func newRoughRoad(t *testing.T, to string) *roughRoad {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	r := &roughRoad{attempts: map[string][]string{}, proxy: &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target) },
	}}
	r.url = apptest.Serve(t, r)
	return r
}

func (r *roughRoad) refuse(statuses ...int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusals, r.lost = statuses, 0
}

func (r *roughRoad) loseAnswers(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusals, r.lost = nil, n
}

func (r *roughRoad) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	id := cmp.Or(req.Header.Get("Webhook-Id"), string(body))
	r.mu.Lock()
	n := len(r.attempts[id])
	r.attempts[id] = append(r.attempts[id], string(body))
	refusals, lost := r.refusals, r.lost
	r.mu.Unlock()
	switch {
	case n < len(refusals):
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(refusals[n])
	case n < len(refusals)+lost:
		r.proxy.ServeHTTP(&swallowed{header: http.Header{}}, req)
		panic(http.ErrAbortHandler) // It cuts the connection.
	default:
		r.proxy.ServeHTTP(w, req)
	}
}

// swallowed is an answer that nobody gets.
type swallowed struct{ header http.Header }

func (s *swallowed) Header() http.Header         { return s.header }
func (s *swallowed) Write(p []byte) (int, error) { return len(p), nil }
func (s *swallowed) WriteHeader(int)             {}

// check wants every request to have come again, under the same id and with the same bytes.
func (r *roughRoad) check(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.attempts) < 2 {
		t.Errorf("%d requests came, want at least 2", len(r.attempts))
	}
	for id, bodies := range r.attempts {
		if len(bodies) < 2 || len(slices.Compact(bodies)) != 1 {
			t.Errorf("request %s came as %q; want the same more than once", id, bodies)
		}
	}
}
