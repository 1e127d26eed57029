package problem

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
)

func hasHan(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

// constants lists the values of the constants of type Code in catalogue.go.
func constants(t *testing.T) []Code {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "catalogue.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var codes []Code
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := v.Type.(*ast.Ident); ok && typ.Name == "Code" {
			text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			codes = append(codes, Code(text))
		}
		return true
	})
	return codes
}

func TestEveryCodeIsInTheCatalogueOnce(t *testing.T) {
	seen := make(map[Code]int)
	for _, e := range Codes() {
		seen[e.Code]++
	}
	declared := constants(t)
	for _, c := range declared {
		if seen[c] != 1 {
			t.Errorf("code %q is %d times in the catalogue, want once", c, seen[c])
		}
	}
	if len(declared) != len(Codes()) {
		t.Errorf("%d codes declared, %d in the catalogue", len(declared), len(Codes()))
	}
}

func TestCatalogueSpeaksBothLanguages(t *testing.T) {
	last := 0
	for _, e := range Codes() {
		t.Run(string(e.Code), func(t *testing.T) {
			if e.Title.En == "" || hasHan(e.Title.En) || !hasHan(e.Title.Zh) {
				t.Errorf("title %+v", e.Title)
			}
			if !strings.HasSuffix(e.Detail.En, ".") || hasHan(e.Detail.En) {
				t.Errorf("English detail %q is no English sentence", e.Detail.En)
			}
			if !strings.HasSuffix(e.Detail.Zh, "。") || !hasHan(e.Detail.Zh) {
				t.Errorf("Chinese detail %q is no Chinese sentence", e.Detail.Zh)
			}
			if e.Status < 400 || e.Status > 599 || http.StatusText(e.Status) == "" {
				t.Errorf("status %d is no error", e.Status)
			}
			if e.Status < last {
				t.Errorf("status %d stands behind %d; the list goes by status", e.Status, last)
			}
			last = e.Status
			if got, ok := Look(e.Code); !ok || got != e {
				t.Errorf("Look = %+v, %v", got, ok)
			}
		})
	}
}

func TestCodesGivesACopy(t *testing.T) {
	Codes()[0].Status = 1
	if got := Codes()[0].Status; got == 1 {
		t.Error("a caller can change the catalogue")
	}
}

func TestUnknownCode(t *testing.T) {
	if _, ok := Look("no_such"); ok {
		t.Error("Look found no_such")
	}
	if got := (&Problem{Code: "no_such"}).Status(); got != http.StatusInternalServerError {
		t.Errorf("status of an unknown code = %d, want 500", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("New(no_such) did not panic")
		}
	}()
	New("no_such")
}

func TestNegotiate(t *testing.T) {
	for _, tt := range []struct {
		header string
		want   Language
	}{
		{"", English},
		{"zh", Chinese},
		{"zh-CN", Chinese},
		{"zh-TW", Chinese},
		{"zh-Hant-HK", Chinese},
		{"ZH-cn", Chinese},
		{"zh-CN,zh;q=0.9,en;q=0.8", Chinese},
		{"en-US,en;q=0.9,zh;q=0.8", English},
		{"en;q=0.1, zh;q=0.9", Chinese},
		{"fr, zh;q=0.2", Chinese},
		{"fr-FR,fr;q=0.9", English},
		{"*", English},
		{"zh;q=x", English},
		{"\x00\xff", English},
		{strings.Repeat("zh,", 1000), English},
	} {
		t.Run(fmt.Sprintf("%.30q", tt.header), func(t *testing.T) {
			if got := Negotiate(tt.header); got != tt.want {
				t.Errorf("Negotiate = %v, want %v", got.Tag(), tt.want.Tag())
			}
		})
	}
}

func TestDocument(t *testing.T) {
	p := New(InvalidEvent).Sayf("Wrong: %s.", "错误：%s。", "a<b>&c").
		With("verdict", "invalid").With("hint", Text{En: "yes", Zh: "是"}).With("n", 7).
		Because(errors.New("a secret cause"))
	p.Errors = []FieldError{{Field: "id", Code: "required", Message: Text{En: "is missing", Zh: "缺失"}}}
	const (
		wantEn = `{"type":"urn:carrier:problem:invalid_event","title":"Invalid event","status":422,` +
			`"detail":"Wrong: a<b>&c.","code":"invalid_event",` +
			`"errors":[{"field":"id","code":"required","message":"is missing"}],` +
			`"verdict":"invalid","hint":"yes","n":7}`
		wantZh = `{"type":"urn:carrier:problem:invalid_event","title":"事件无效","status":422,` +
			`"detail":"错误：a<b>&c。","code":"invalid_event",` +
			`"errors":[{"field":"id","code":"required","message":"缺失"}],` +
			`"verdict":"invalid","hint":"是","n":7}`
	)
	if got := string(p.JSON(English)); got != wantEn {
		t.Errorf("English:\ngot  %s\nwant %s", got, wantEn)
	}
	if got := string(p.JSON(Chinese)); got != wantZh {
		t.Errorf("Chinese:\ngot  %s\nwant %s", got, wantZh)
	}
}

func TestEveryDocumentIsJSON(t *testing.T) {
	for _, e := range Codes() {
		for _, l := range []Language{English, Chinese} {
			var doc struct {
				Type, Title, Detail, Code string
				Status                    int
				Errors                    []any
			}
			text := New(e.Code).JSON(l)
			if err := json.Unmarshal(text, &doc); err != nil {
				t.Fatalf("%s in %s: %v", text, l.Tag(), err)
			}
			if doc.Type != "urn:carrier:problem:"+string(e.Code) || doc.Code != string(e.Code) || doc.Status != e.Status ||
				doc.Title != e.Title.In(l) || doc.Detail != e.Detail.In(l) || doc.Errors != nil {
				t.Errorf("%s in %s: %s", e.Code, l.Tag(), text)
			}
		}
	}
}

func TestMemberThatCannotBeWritten(t *testing.T) {
	text := New(Internal).With("bad", func() {}).With("good", 1).JSON(English)
	if !json.Valid(text) || !strings.HasSuffix(string(text), `"bad":null,"good":1}`) {
		t.Errorf("got %s", text)
	}
}

func TestWrite(t *testing.T) {
	for _, tt := range []struct {
		name, method, accept string
		problem              *Problem
		headers              map[string]string
		body                 bool
	}{
		{"English", http.MethodPost, "", New(Conflict),
			map[string]string{"Content-Language": "en", "Retry-After": "", "WWW-Authenticate": ""}, true},
		{"Chinese", http.MethodPost, "zh-CN,zh;q=0.9", New(Conflict), map[string]string{"Content-Language": "zh-CN"}, true},
		{"retry rounds up", http.MethodPost, "", New(RateLimited).After(1100 * time.Millisecond), map[string]string{"Retry-After": "2"}, true},
		{"retry soon", http.MethodPost, "", New(RateLimited).After(time.Nanosecond), map[string]string{"Retry-After": "1"}, true},
		{"challenge", http.MethodGet, "", New(Unauthorized), map[string]string{"WWW-Authenticate": `Bearer realm="carrier"`}, true},
		{"head", http.MethodHead, "", New(NotFound), nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, "/", nil)
			r.Header.Set("Accept-Language", tt.accept)
			w := httptest.NewRecorder()
			if err := tt.problem.Write(w, r); err != nil {
				t.Fatal(err)
			}
			if w.Code != tt.problem.Status() {
				t.Errorf("status %d, want %d", w.Code, tt.problem.Status())
			}
			if got := w.Header().Get("Content-Type"); got != ContentType {
				t.Errorf("Content-Type %q", got)
			}
			if got := w.Header().Get("Vary"); got != "Accept-Language" {
				t.Errorf("Vary %q", got)
			}
			for name, want := range tt.headers {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if got := w.Body.Len() > 0; got != tt.body {
				t.Errorf("body %q, want one: %v", w.Body, tt.body)
			}
		})
	}
}

func TestWriteKeepsAnotherChallenge(t *testing.T) {
	w := httptest.NewRecorder()
	w.Header().Set("WWW-Authenticate", `Bearer realm="carrier admin"`)
	if err := New(Unauthorized).Write(w, httptest.NewRequest(http.MethodGet, "/", nil)); err != nil {
		t.Fatal(err)
	}
	if got := w.Header().Get("WWW-Authenticate"); got != `Bearer realm="carrier admin"` {
		t.Errorf("WWW-Authenticate %q", got)
	}
}

func TestProblemIsAnError(t *testing.T) {
	cause := errors.New("disk on fire")
	var err error = fmt.Errorf("handling: %w", New(StoreUnavailable).Because(cause))
	p, ok := errors.AsType[*Problem](err)
	if !ok || p.Code != StoreUnavailable {
		t.Fatalf("AsType = %v, %v", p, ok)
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
	if strings.Contains(p.Error(), "fire") || !strings.HasPrefix(p.Error(), "store_unavailable: ") {
		t.Errorf("Error() = %q", p.Error())
	}
}

func TestForStatus(t *testing.T) {
	for status := 400; status < 600; status++ {
		e, ok := Look(ForStatus(status))
		if !ok {
			t.Fatalf("status %d has no code", status)
		}
		switch {
		case e.Status == status:
		case status >= 500 && e.Code == Internal:
		case status < 500 && e.Code == InvalidRequest:
		default:
			t.Errorf("status %d becomes %s (%d)", status, e.Code, e.Status)
		}
	}
}
