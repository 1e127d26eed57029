package app_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/micro"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// semVer is a version as the micro-service API wants it (semver.org 2.0.0).
var semVer = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)

// TestNATSServiceIsDiscovered asks the standard subjects: the tool nats finds the service, its endpoints with their
// schemas, and what they did.
func TestNATSServiceIsDiscovered(t *testing.T) {
	r := startNATS(t, nil)
	discover := func(subject string, v any) {
		t.Helper()
		m, err := r.nc.Request(subject, nil, soon)
		if err != nil {
			t.Fatalf("%s: %v", subject, err)
		}
		if err := json.Unmarshal(m.Data, v); err != nil {
			t.Fatalf("%s: %v: %s", subject, err, m.Data)
		}
	}
	var ping micro.Ping
	for _, subject := range []string{"$SRV.PING", "$SRV.PING.carrier"} {
		discover(subject, &ping)
		if ping.Name != "carrier" || ping.ID == "" || ping.Type != micro.PingResponseType || !semVer.MatchString(ping.Version) {
			t.Errorf("%s answers %+v", subject, ping)
		}
	}
	var info micro.Info
	discover("$SRV.INFO.carrier."+ping.ID, &info)
	if info.Description == "" || len(info.Endpoints) != 2 {
		t.Errorf("$SRV.INFO answers %+v", info)
	}
	slices.SortFunc(info.Endpoints, func(a, b micro.EndpointInfo) int { return strings.Compare(a.Name, b.Name) })
	for i, name := range []string{"submit", "token"} {
		e := info.Endpoints[i]
		if e.Name != name || e.Subject != "carrier."+name+".*" || e.QueueGroup != "carrier" {
			t.Errorf("endpoint %d is %+v", i, e)
		}
		schemas := 0
		for key, value := range e.Metadata {
			if !strings.Contains(key, "schema") {
				continue
			}
			schemas++
			compileSchema(t, name+" "+key, value)
		}
		if schemas != 2 {
			t.Errorf("endpoint %s has %d schemas, want those of the request and the response: %v", name, schemas, e.Metadata)
		}
	}

	for n, e := range story("STATS", 100001, 200001, 300002) {
		if a := r.submit("sorter-7", asJSON(t, e), nil); a.Verdict != "accepted" {
			t.Errorf("request %d: %s", n, a.Body)
		}
	}
	r.submit("sorter-7", []byte("{"), nil)
	r.ask("carrier.token.SF", []byte(fmt.Sprintf(`{"waybill_id":"STATS","token":%q}`, canaryToken)), nil)
	r.ask("carrier.token.JD", []byte(fmt.Sprintf(`{"waybill_id":"STATS","token":%q}`, canaryToken)), nil)
	var stats micro.Stats
	var raw json.RawMessage
	r.eventually(func() bool { // An answer may be on its way before it is counted.
		discover("$SRV.STATS.carrier", &raw)
		stats = micro.Stats{}
		if err := json.Unmarshal(raw, &stats); err != nil {
			t.Fatal(err)
		}
		return wantFigures(stats.Endpoints, "submit", 4, 3, 1) && wantFigures(stats.Endpoints, "token", 2, 1, 1)
	}, "the statistics count 4 and 2 requests, with a problem each")
	if strings.Contains(string(raw), canaryToken) {
		t.Errorf("the Token is in the statistics: %s", raw)
	}
}

// compileSchema fails if a text is no JSON Schema of something.
func compileSchema(t *testing.T, name, text string) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Errorf("%s is no JSON: %v", name, err)
		return
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if _, err := c.Compile("schema.json"); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

// wantFigures tells whether an endpoint has had so many requests, answered so many as asked, and so many with a problem.
func wantFigures(endpoints []*micro.EndpointStats, name string, requests, answered, problems int) bool {
	for _, e := range endpoints {
		var data struct{ Answered, Problems int }
		if e.Name == name && json.Unmarshal(e.Data, &data) == nil {
			return e.NumRequests == requests && data.Answered == answered && data.Problems == problems
		}
	}
	return false
}
