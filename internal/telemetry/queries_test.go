package telemetry

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// The Prometheus parser would bring some hundred modules for this one test. What breaks a query here is a metric that is
// renamed, a label that it does not have, or a word that is none; that is looked for here. All
// queries were put through Prometheus' own parser (promql/parser) when they were written.

// query is an expression of the board or of an alert, and where it is.
type query struct{ where, expr string }

// boardQueries are those of the Grafana board.
func boardQueries(t *testing.T) (all []query) {
	t.Helper()
	var board struct {
		UID         string
		Panels      []boardPanel
		Annotations struct{ List []struct{ Name, Expr string } }
		Templating  struct {
			List []struct{ Name, Definition string }
		}
	}
	if err := json.Unmarshal(config(t, "grafana/carrier.json"), &board); err != nil {
		t.Fatal(err)
	}
	if board.UID == "" || len(board.Panels) < 20 {
		t.Errorf("the board %q has %d panels", board.UID, len(board.Panels))
	}
	ids := map[int]bool{}
	for _, p := range board.Panels {
		if ids[p.ID] || p.Title == "" || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %d %q: its id is not its own, or it has no title or no query", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			all = append(all, query{"the panel " + p.Title, target.Expr})
		}
	}
	for _, a := range board.Annotations.List {
		all = append(all, query{"the annotation " + a.Name, a.Expr})
	}
	for _, v := range board.Templating.List {
		if m := labelValues.FindStringSubmatch(v.Definition); m != nil {
			all = append(all, query{"the variable " + v.Name, m[1] + " * on (" + m[2] + ") " + m[1]})
		}
	}
	return all
}

type boardPanel struct {
	ID          int
	Type, Title string
	Targets     []struct{ Expr string }
}

var labelValues = regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)

// alertQueries are those of the alert rules.
func alertQueries(t *testing.T) (all []query) {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.UnmarshalWithOptions(config(t, "alerts.yaml"), &file, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if names[r.Alert] || !regexp.MustCompile(`^Carrier[A-Z]\w+$`).MatchString(r.Alert) {
				t.Errorf("alert %q is there twice, or is not named as the others", r.Alert)
			}
			names[r.Alert] = true
			if s := r.Labels["severity"]; s != "page" && s != "ticket" {
				t.Errorf("%s is of severity %q", r.Alert, s)
			}
			for _, key := range []string{"summary", "summary_zh", "runbook"} {
				if r.Annotations[key] == "" {
					t.Errorf("%s has no %s", r.Alert, key)
				}
			}
			all = append(all, query{"the alert " + r.Alert, r.Expr})
		}
	}
	return all
}

func config(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("../../configs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestQueriesFitTheMetrics holds the board and the alerts against the catalogue.
func TestQueriesFitTheMetrics(t *testing.T) {
	catalogue := map[string]*metric{}
	for _, m := range slices.Concat(counted, sampled) {
		catalogue[m.name] = m
	}
	used := map[string]bool{}
	for _, q := range append(boardQueries(t), alertQueries(t)...) {
		for _, wrong := range checkQuery(q.expr, catalogue, used) {
			t.Errorf("%s: %s\n%s", q.where, wrong, q.expr)
		}
	}
	for name := range catalogue {
		if !used[name] {
			t.Errorf("%s is neither on the board nor in an alert: who would see it?", name)
		}
	}
}

func TestCheckQueryFindsMistakes(t *testing.T) {
	catalogue := map[string]*metric{"carrier_pushes": &pushes, "carrier_delivery_delay_seconds": &delaySeconds}
	for expr, want := range map[string]string{
		`sum by (delivery_id) (carrier_pushes{status="pending"})`:                  "",
		`histogram_quantile(0.9, rate(carrier_delivery_delay_seconds_bucket[5m]))`: "",
		`carrier_pushes offset 5m > bool 2 and on (job) up == 1`:                   "",
		`carrier_pushs`:                             "carrier_pushs",
		`carrier_pushes{state="pending"}`:           "state",
		`carrier_pushes{status="waiting"}`:          "waiting",
		`carrier_pushes{status=~"pending|waiting"}`: "waiting",
		`sum by (source) (carrier_pushes)`:          "source",
		`carrier_delivery_delay_seconds > 1`:        "carrier_delivery_delay_seconds",
		`rte(carrier_pushes[5m])`:                   "rte",
		`sum(carrier_pushes{status="pending"}`:      "brackets",
		`carrier_pushes{waybill_id="1"}`:            "waybill_id",
	} {
		wrong := strings.Join(checkQuery(expr, catalogue, map[string]bool{}), "; ")
		if (wrong == "") != (want == "") || !strings.Contains(wrong, want) {
			t.Errorf("%s: %q, want %q", expr, wrong, want)
		}
	}
}

var (
	queryToken = regexp.MustCompile(`"[^"]*"|\[[^\]]*\]|[A-Za-z_:][A-Za-z0-9_:]*|[0-9][0-9.smhdw]*|[!=<>]=?~?|\S`)
	identifier = regexp.MustCompile(`^[A-Za-z_:]`)
	functions  = strings.Fields("sum max min count avg rate increase changes absent predict_linear histogram_quantile time")
	keywords   = strings.Fields("and or unless bool offset")
	groupings  = strings.Fields("by without on ignoring")
	everywhere = []string{"job", "instance"} // What Prometheus adds.
)

// checkQuery says what is wrong with a query, and notes which metrics it uses.
func checkQuery(expr string, catalogue map[string]*metric, used map[string]bool) (wrong []string) {
	tokens := queryToken.FindAllString(expr, -1)
	labels := slices.Clone(everywhere) // Of all metrics of the query.
	var grouped []string
	depth := 0
	for i := 0; i < len(tokens); i++ {
		next := ""
		if i+1 < len(tokens) {
			next = tokens[i+1]
		}
		switch token := tokens[i]; {
		case token == "(":
			depth++
		case token == ")":
			depth--
		case !identifier.MatchString(token) || slices.Contains(keywords, token):
		case slices.Contains(groupings, token) && next == "(":
			end := i + slices.Index(tokens[i:], ")")
			grouped = append(grouped, names(tokens[i+2:end])...)
			i = end
		case next == "(" || slices.Contains(groupings, next):
			if !slices.Contains(functions, token) {
				wrong = append(wrong, "no function "+token)
			}
		default:
			m, problem := metricOf(token, catalogue, used)
			if problem != "" {
				wrong = append(wrong, problem)
			}
			labels = append(labels, m...)
			if next == "{" {
				end := i + slices.Index(tokens[i:], "}")
				if end < i {
					return append(wrong, "brackets")
				}
				wrong = append(wrong, checkMatchers(tokens[i+2:end], append(m, everywhere...))...)
				i = end
			}
		}
	}
	for _, l := range grouped {
		if !slices.Contains(labels, l) {
			wrong = append(wrong, "no metric here has the label "+l)
		}
	}
	if depth != 0 {
		wrong = append(wrong, "brackets that don't match")
	}
	return wrong
}

// names are the identifiers among tokens.
func names(tokens []string) (list []string) {
	for _, t := range tokens {
		if identifier.MatchString(t) {
			list = append(list, t)
		}
	}
	return list
}

// metricOf gives the labels of a metric, as a query names it.
func metricOf(name string, catalogue map[string]*metric, used map[string]bool) (labels []string, wrong string) {
	if name == "up" || strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
		return nil, ""
	}
	if m := catalogue[name]; m != nil && m.kind != histogram {
		used[name] = true
		return m.labels, ""
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		base, ok := strings.CutSuffix(name, suffix)
		if m := catalogue[base]; ok && m != nil && m.kind == histogram {
			used[base] = true
			if suffix == "_bucket" {
				return append(slices.Clone(m.labels), "le"), ""
			}
			return m.labels, ""
		}
	}
	return nil, "no metric " + name
}

// checkMatchers looks at label="value", ...
func checkMatchers(tokens, labels []string) (wrong []string) {
	for i := 0; i+2 < len(tokens); i += 4 {
		label, op, value := tokens[i], tokens[i+1], strings.Trim(tokens[i+2], `"`)
		if !slices.Contains(labels, label) {
			wrong = append(wrong, "it has no label "+label)
			continue
		}
		known := words[label]
		if label == "state" {
			known = breakerStates
		}
		if known == nil || strings.HasPrefix(value, "$") {
			continue
		}
		for _, v := range strings.Split(value, "|") {
			if !slices.Contains(known, v) {
				wrong = append(wrong, fmt.Sprintf("%s %s: no such %s", op, v, label))
			}
		}
	}
	return wrong
}
