package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"

	"carrier/internal/wechat"
)

// runbooks are the two languages of one document.
var runbooks = []struct {
	file, other, link string
	zh                bool
}{
	{"../../configs/runbook.md", "runbook.zh-CN.md", "configs/runbook.md", false},
	{"../../configs/runbook.zh-CN.md", "runbook.md", "configs/runbook.zh-CN.md", true},
}

// scopeWords say what the service does by itself about an answer, and what customers notice.
var scopeWords = map[wechat.Scope][2]string{
	wechat.ScopeOK:         {"Nothing is wrong.", "一切正常。"},
	wechat.ScopeUpstream:   {"Tried again with longer and longer waits until `push.retry.max_age`; many of them open the breaker. Customers see the scan later.", "以逐渐延长的间隔重试，直到 `push.retry.max_age`；大量出现时熔断器会打开。用户会晚些看到该节点。"},
	wechat.ScopeCredential: {"A new access_token is fetched, and the push is sent again at once. Customers notice nothing.", "重新获取 access_token 并立即重发。用户无感知。"},
	wechat.ScopeAccount:    {"The account is paused and its pushes wait; a probe now and then ends the pause by itself. Customers of this company see no new scans meanwhile: [CarrierAccountPaused](#carrieraccountpaused).", "账户暂停，其推送等待；系统不时试探并自动恢复。期间该公司的用户看不到新的节点：见 [CarrierAccountPaused](#carrieraccountpaused)。"},
	wechat.ScopeRate:       {"The account waits until WeChat takes calls again. Customers of this company see no new scans meanwhile.", "账户等待至微信再次接受调用。期间该公司的用户看不到新的节点。"},
	wechat.ScopeWaybill:    {"The Token is read again; if it is the same, the push is tried `push.token_retries` times and fails, and the waybill is parked until a new Token or a replay comes. The customer of this waybill sees no new scans.", "重新读取 Token；若未变化，重试 `push.token_retries` 次后失败，运单挂起，直到有新的 Token 或重放。该运单的用户看不到新的节点。"},
	wechat.ScopeEvent:      {"This push fails at once, and the waybill goes on with its next one. The customer misses this one scan.", "该推送立即失败，运单继续推送下一条。用户缺少这一个节点。"},
}

// errcodeEntries are the runbook's entries about errcodes.
func errcodeEntries(zh bool) string {
	var b strings.Builder
	for _, code := range wechat.Errcodes() {
		scope := wechat.ScopeOf(code)
		by := pick(zh, scopeWords[scope][0], scopeWords[scope][1])
		fmt.Fprintf(&b, "\n### %d\n\n`%s`\n\n- **%s**%s\n- **%s**%s\n", code, scope,
			pick(zh, "What it means, and what to do:", "含义与处理："), pick(zh, " ", "")+wechat.Meaning(code, zh),
			pick(zh, "By itself:", "系统自动处理："), pick(zh, " ", "")+by)
	}
	return b.String() + "\n"
}

// TestGeneratedRunbook compares the entries of errcodes with the code; -update writes them.
func TestGeneratedRunbook(t *testing.T) {
	const begin, end = "<!-- begin runbook -->\n", "<!-- end runbook -->"
	for _, r := range runbooks {
		text := read(t, r.file)
		before, rest, ok1 := strings.Cut(text, begin)
		got, after, ok2 := strings.Cut(rest, end)
		if !ok1 || !ok2 {
			t.Fatalf("%s has no section runbook", r.file)
		}
		want := errcodeEntries(r.zh)
		if got != want && !*update {
			t.Errorf("%s: the errcodes differ from the code; write them with -update", r.file)
		}
		if *update {
			if err := os.WriteFile(r.file, []byte(before+begin+want+end+after), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// alert is a rule of configs/alerts.yaml, as far as it is looked at here.
type alert struct {
	Name        string            `yaml:"alert"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func readAlerts(t *testing.T) (all []alert) {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []alert }
	}
	if err := yaml.Unmarshal([]byte(read(t, "../../configs/alerts.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// TestEveryAlertHasAnEntry holds alerts and entries in step, in both languages.
func TestEveryAlertHasAnEntry(t *testing.T) {
	var names []string
	alerts := readAlerts(t)
	for _, a := range alerts {
		names = append(names, a.Name)
		if want := "configs/runbook.md#" + strings.ToLower(a.Name); a.Annotations["runbook"] != want {
			t.Errorf("%s: its runbook is %q, want %q", a.Name, a.Annotations["runbook"], want)
		}
	}
	for _, r := range runbooks {
		parts := entries(read(t, r.file))
		words := []string{"For customers", "Look", "Do"}
		if r.zh {
			words = []string{"对用户的影响", "查看", "处理"}
		}
		for _, a := range alerts {
			text := parts[a.Name]
			if !strings.Contains(text, "\n`"+a.Labels["severity"]+"`\n") {
				t.Errorf("%s: the entry of %s does not say `%s`", r.file, a.Name, a.Labels["severity"])
			}
			for _, w := range words {
				if !strings.Contains(text, "\n- **"+w) {
					t.Errorf("%s: the entry of %s has no part %s", r.file, a.Name, w)
				}
			}
		}
		for name := range parts {
			if strings.HasPrefix(name, "Carrier") && !slices.Contains(names, name) {
				t.Errorf("%s: there is no alert %s", r.file, name)
			}
		}
		for _, code := range wechat.Errcodes() {
			if parts[fmt.Sprint(code)] == "" {
				t.Errorf("%s has no entry of errcode %d", r.file, code)
			}
		}
	}
}

// entries are the parts of a document under headings of the third level, by heading.
func entries(text string) map[string]string {
	parts := map[string]string{}
	for _, part := range strings.Split(text, "\n### ")[1:] {
		name, body, _ := strings.Cut(part, "\n")
		parts[name] = body
	}
	return parts
}

// TestRunbooksAreInStep: the same headings, and links that lead somewhere.
func TestRunbooksAreInStep(t *testing.T) {
	var names [2][]string
	for i, r := range runbooks {
		text := read(t, r.file)
		anchors := map[string]bool{}
		for line := range strings.Lines(text) {
			if m := heading.FindString(line); m != "" {
				title := strings.TrimSpace(strings.TrimPrefix(line, m))
				anchors[strings.ToLower(title)] = true
				if m == "### " {
					names[i] = append(names[i], title)
				}
			}
		}
		for _, link := range linked.FindAllStringSubmatch(text, -1) {
			// GitHub's anchors keep letters, digits and hyphens: that of -1 is -1.
			if !anchors[link[1]] {
				t.Errorf("%s: #%s leads nowhere", r.file, link[1])
			}
		}
		if !strings.HasPrefix(text, "["+pick(r.zh, "中文", "English")+"]("+r.other+")\n") {
			t.Errorf("%s does not begin with a link to %s", r.file, r.other)
		}
		if readme := read(t, readmes[i].file); !strings.Contains(readme, "("+r.link+")") {
			t.Errorf("%s has no link to %s", readmes[i].file, r.link)
		}
	}
	if !slices.Equal(names[0], names[1]) {
		t.Errorf("the entries differ:\n%v\n%v", names[0], names[1])
	}
}

var (
	linked  = regexp.MustCompile(`\]\(#([^)]*)\)`)
	spelled = regexp.MustCompile("`carrier ([^`]*)`")
)

// TestCommandsOfTheRunbook: each command that it names is one.
func TestCommandsOfTheRunbook(t *testing.T) {
	token := fileOf(t, "token", "t")
	fill := strings.NewReplacer("DELIVERY_ID", "SF", "WAYBILL_ID", "W1", "SEQ", "1", "FILE", token, " ID", " 1")
	for _, r := range runbooks {
		found := spelled.FindAllStringSubmatch(read(t, r.file), -1)
		if len(found) < 20 {
			t.Errorf("%s names only %d commands", r.file, len(found))
		}
		for _, m := range found {
			parser, err := kong.New(&commands{}, kong.Exit(func(int) {}), kong.BindTo(context.Background(), (*context.Context)(nil)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parser.Parse(strings.Fields(fill.Replace(m[1]))); err != nil {
				t.Errorf("%s: carrier %s: %v", r.file, m[1], err)
			}
		}
	}
}
