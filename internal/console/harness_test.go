package console

import (
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"carrier/internal/admin"
	"carrier/internal/problem"

	"golang.org/x/net/html"
)

// Two tokens, and who they are.
const (
	opsToken  = "ops-0123456789abcdef0123456789abcdef"
	deskToken = "desk-0123456789abcdef0123456789abcde"
)

// fakeTokens are the admin tokens.
type fakeTokens map[TokenKey]admin.Actor

func newFakeTokens() fakeTokens {
	return fakeTokens{
		sha256.Sum256([]byte(opsToken)):  {Name: "ops", Operator: true},
		sha256.Sum256([]byte(deskToken)): {Name: "desk"},
	}
}

func (f fakeTokens) Open(token, from string) (TokenKey, admin.Actor, error) {
	key := sha256.Sum256([]byte(token))
	if by, ok := f[key]; ok {
		by.From = from
		return key, by, nil
	}
	return key, admin.Actor{}, problem.New(problem.Unauthorized)
}

func (f fakeTokens) Whose(key TokenKey) (admin.Actor, bool) {
	by, ok := f[key]
	return by, ok
}

// configured are tokens that can be taken out, or change their roles, while the console looks at them.
type configured struct {
	fakeTokens
	out, changed atomic.Bool
}

func (c *configured) changeRoles() { c.changed.Store(true) }

func (c *configured) takeOut() { c.out.Store(true) }

func (c *configured) Whose(key TokenKey) (admin.Actor, bool) {
	by, ok := c.fakeTokens.Whose(key)
	by.Operator = by.Operator != c.changed.Load()
	return by, ok && !c.out.Load()
}

// browser visits the console as a browser does, one cookie jar to each.
type browser struct {
	t       *testing.T
	console *Console
	tokens  *configured
	cookies map[string]string
	header  http.Header
	params  map[string]string // of the path
	secure  bool
}

// open makes a console over an admin and a browser that nobody is logged in with.
func open(t *testing.T, a Admin) *browser {
	t.Helper()
	c, err := New(Options{Admin: a, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, console: c, tokens: &configured{fakeTokens: newFakeTokens()}, cookies: map[string]string{}, header: http.Header{}, params: map[string]string{}}
}

// as logs in with a token.
func (b *browser) as(token string) *browser {
	b.t.Helper()
	a := b.post("/login", Anyone, b.console.Login, url.Values{"token": {token}})
	if a.status != http.StatusSeeOther {
		b.t.Fatalf("the log-in was answered %d: %s", a.status, a.text)
	}
	return b
}

// with sets the parts of the path that handlers ask for: name, value, name, value.
func (b *browser) with(pairs ...string) *browser {
	for i := 0; i+1 < len(pairs); i += 2 {
		b.params[pairs[i]] = pairs[i+1]
	}
	return b
}

func (b *browser) get(path string, who Access, handle Handler) answer {
	b.t.Helper()
	return b.do(httptest.NewRequest(http.MethodGet, path, nil), who, handle)
}

func (b *browser) post(path string, who Access, handle Handler, form url.Values) answer {
	b.t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.do(r, who, handle)
}

func (b *browser) do(r *http.Request, who Access, handle Handler) answer {
	b.t.Helper()
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for name, values := range b.header {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	b.console.Serve(w, r, Call{
		From: "192.0.2.7", Secure: b.secure, Tokens: b.tokens, Param: func(name string) string { return b.params[name] },
	}, who, handle)
	res := w.Result()
	for _, c := range res.Cookies() {
		b.cookies[c.Name] = c.Value
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return answer{t: b.t, status: res.StatusCode, header: res.Header, body: w.Body.String(), text: visible(b.t, w.Body.String())}
}

// answer is what came back.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   string
	text   string // What a reader sees of the page.
}

// says fails the test unless the page was answered with a status and has all these texts.
func (a answer) says(status int, texts ...string) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Errorf("answered %d, want %d: %s", a.status, status, a.text)
	}
	for _, text := range texts {
		if !strings.Contains(a.text, text) {
			a.t.Errorf("the page does not say %q:\n%s", text, a.text)
		}
	}
	return a
}

// has fails the test unless the page's source has all of these.
func (a answer) has(parts ...string) answer {
	a.t.Helper()
	for _, part := range parts {
		if !strings.Contains(a.body, part) {
			a.t.Errorf("the page has no %q:\n%s", part, a.body)
		}
	}
	return a
}

// lacks fails the test if the page's source has any of these.
func (a answer) lacks(parts ...string) answer {
	a.t.Helper()
	for _, part := range parts {
		if strings.Contains(a.body, part) {
			a.t.Errorf("the page has %q:\n%s", part, a.body)
		}
	}
	return a
}

// leadsTo fails the test unless the answer sends the browser there.
func (a answer) leadsTo(path string) answer {
	a.t.Helper()
	if got := a.header.Get("Location"); a.status != http.StatusSeeOther || got != path {
		a.t.Errorf("answered %d to %q, want 303 to %q: %s", a.status, got, path, a.text)
	}
	return a
}

// visible is the text of a page, one space between words.
func visible(t *testing.T, page string) string {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.TextNode && n.Parent.Data != "script" && n.Parent.Data != "style" {
			words = append(words, strings.Fields(n.Data)...)
		}
		for child := range n.ChildNodes() {
			walk(child)
		}
	}
	walk(doc)
	return strings.Join(words, " ")
}
