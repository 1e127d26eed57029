package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"carrier/internal/config"
	"carrier/internal/problem"
	"carrier/internal/replay"
	"carrier/internal/server"
	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/telemetry"
	"carrier/internal/wechat"
)

var update = flag.Bool("update", false, "write the generated sections of the READMEs anew")

// readmes are the two languages of one document.
var readmes = []struct {
	file string
	zh   bool
}{{"../../README.md", false}, {"../../README.zh-CN.md", true}}

// generated are the sections that come from the code. In a README they stand between <!-- begin NAME --> and
// <!-- end NAME -->.
func generated(zh bool) map[string]string {
	return map[string]string{
		"config":   config.Reference(zh),
		"stages":   state.Markdown(),
		"names":    names(zh),
		"errcodes": errcodes(zh),
		"problems": problems(zh),
		"metrics":  telemetry.Reference(zh),
	}
}

func names(zh bool) string {
	var b strings.Builder
	b.WriteString(pick(zh, "| stage | meaning | 含义 |\n", "| 阶段 | 英文 | 中文 |\n") + "|---|---|---|\n")
	for _, s := range state.Stages() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s, s.Name(false), s.Name(true))
	}
	b.WriteString("\n" + pick(zh, "| action_type | meaning | 含义 |\n", "| action_type | 英文 | 中文 |\n") + "|---|---|---|\n")
	for _, a := range state.ActionTypes {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", a, a.Name(false), a.Name(true))
	}
	return b.String()
}

func errcodes(zh bool) string {
	var b strings.Builder
	b.WriteString(pick(zh, "| errcode | scope | meaning, and what to do |\n", "| errcode | 作用范围 | 含义与处理 |\n") + "|---|---|---|\n")
	for _, code := range wechat.Errcodes() {
		fmt.Fprintf(&b, "| %d | `%s` | %s |\n", code, wechat.ScopeOf(code), wechat.Meaning(code, zh))
	}
	return b.String()
}

func problems(zh bool) string {
	lang := problem.English
	if zh {
		lang = problem.Chinese
	}
	var b strings.Builder
	b.WriteString(pick(zh, "| code | HTTP | meaning | what to do |\n", "| code | HTTP | 含义 | 处理 |\n") + "|---|---|---|---|\n")
	for _, e := range problem.Codes() {
		fmt.Fprintf(&b, "| `%s` | %d | %s | %s |\n", e.Code, e.Status, e.Title.In(lang), e.Detail.In(lang))
	}
	return b.String()
}

func pick(zh bool, en, cn string) string {
	if zh {
		return cn
	}
	return en
}

// TestGeneratedSections compares the READMEs with the code. `go test ./cmd/carrier -run Generated -update` writes them.
func TestGeneratedSections(t *testing.T) {
	for _, r := range readmes {
		t.Run(r.file, func(t *testing.T) {
			text := read(t, r.file)
			for name, want := range generated(r.zh) {
				begin, end := "<!-- begin "+name+" -->\n", "<!-- end "+name+" -->"
				before, rest, ok1 := strings.Cut(text, begin)
				got, after, ok2 := strings.Cut(rest, end)
				if !ok1 || !ok2 {
					t.Errorf("there is no section %s", name)
					continue
				}
				if got != want && !*update {
					t.Errorf("section %s differs from the code; write it with -update", name)
				}
				text = before + begin + want + end + after
			}
			if *update {
				if err := os.WriteFile(r.file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestEveryRouteIsDocumented looks for each route, with who may call it, in both READMEs.
func TestEveryRouteIsDocumented(t *testing.T) {
	for _, r := range readmes {
		text := read(t, r.file)
		for _, route := range server.Routes() {
			path := strings.NewReplacer(":seq", "SEQ", ":delivery", "DELIVERY_ID", ":waybill", "WAYBILL_ID", ":id", "ID").Replace(route.Path)
			if row := "| `" + route.Method + " " + path + "` | " + route.Access + " |"; !strings.Contains(text, row) {
				t.Errorf("%s has no row that begins with %s", r.file, row)
			}
		}
	}
}

// TestEveryVerdictReasonAndStatusIsDocumented looks for the words that answers use.
func TestEveryVerdictReasonAndStatusIsDocumented(t *testing.T) {
	words := []string{"pending", "delivered", "failed", "discarded", "retry", "breaker", "account", "token", "waybill",
		"no_token", "token_refused", "refused", "retries_ended",
		"missing_scan", "behind_held", "repeats_stage", "repeats_event", "illegal_transition", "contradicts_later_event"}
	for _, v := range state.Verdicts() {
		words = append(words, v.String())
	}
	for _, v := range replay.Verdicts() {
		words = append(words, string(v))
	}
	words = append(words, store.Actions()...)
	for _, r := range readmes {
		text := read(t, r.file)
		for _, w := range words {
			if !strings.Contains(text, "`"+w+"`") {
				t.Errorf("%s does not explain `%s`", r.file, w)
			}
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
