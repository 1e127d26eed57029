package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf16"

	"carrier/internal/adminclient"
)

// asking is what the commands over the admin API share.
type asking struct {
	adminFlags
	Config string `group:"service" name:"config" short:"c" placeholder:"FILE" help:"Take the admin API's address from this configuration."`
	JSON   bool   `group:"service" name:"json" help:"Print the API's JSON."`
}

// session is one command's conversation with the service.
type session struct {
	*adminclient.Client
	*screen
	json  bool
	world *world
}

// open finds out whom to ask, and with which token. Its errors are usage errors.
func (a *asking) open(w *world) (*session, error) {
	address, err := a.address(w)
	if err != nil {
		return nil, err
	}
	token, err := a.credential(w)
	if err != nil {
		return nil, usageError{err}
	}
	s := &session{screen: newScreen(w), json: a.JSON, world: w}
	s.Client, err = adminclient.New(adminclient.Options{
		URL: address, Token: token, Language: cmp.Or(language(w), "en"), UserAgent: "carrier-cli/" + version().Version,
	})
	if err != nil {
		return nil, usageError{fmt.Errorf("%w; see --admin-url and --token-file", err)}
	}
	return s, nil
}

// address is the admin API's: of the flag, else of the environment, else of a configuration that was named.
func (a *asking) address(w *world) (string, error) {
	if address := a.url(w); address != "" {
		return address, nil
	}
	if a.Config == "" {
		return "http://127.0.0.1:8081", nil
	}
	c, err := (&configFlag{File: a.Config}).load(w)
	if err != nil {
		return "", err
	}
	return c.Server.AdminURL(), nil
}

func (a *asking) credential(w *world) (string, error) {
	if a.TokenFile != "" {
		return credentialFile("--token-file", a.TokenFile)
	}
	if token := w.getenv("CARRIER_ADMIN_TOKEN"); token != "" {
		return token, nil
	}
	return "", errors.New("no admin token; put it into CARRIER_ADMIN_TOKEN, or into a file and name that with --token-file")
}

// with opens a session, runs f in it, and says in the user's words what the service refused.
func (a *asking) with(ctx context.Context, w *world, f func(*session) error) error {
	s, err := a.open(w)
	if err != nil {
		return err
	}
	return s.explain(ctx, f(s))
}

// explain makes one line of what went wrong, with what to do about it. What came from outside can't move the cursor.
func (s *session) explain(ctx context.Context, err error) error {
	refusal, refused := errors.AsType[*adminclient.Refusal](err)
	away, unreachable := errors.AsType[*adminclient.Unreachable](err)
	_, saidAlready := errors.AsType[said](err)
	advice := ""
	switch {
	case err == nil || saidAlready:
		return err
	case unreachable && ctx.Err() != nil:
		err = errors.New(s.say("interrupted", "已中断"))
		if away.Unsure {
			advice = s.unsure()
		}
	case unreachable:
		advice = s.say("is the service running, and is this its admin address? Give that with --admin-url or CARRIER_ADMIN_URL",
			"服务是否在运行、地址是否为其管理地址？请用 --admin-url 或 CARRIER_ADMIN_URL 指定")
		if away.Unsure {
			advice = s.advise(s.unsure(), advice)
		}
	case !refused:
	case refusal.Status == http.StatusUnauthorized:
		advice = s.say("give a token of admin.tokens with --token-file or CARRIER_ADMIN_TOKEN", "请用 --token-file 或 CARRIER_ADMIN_TOKEN 提供 admin.tokens 中的令牌")
	case refusal.Location != "":
		advice = s.sayf("it points to %s, which does not get the token; if that is right, give it with --admin-url",
			"它指向 %s，令牌不会发往该处；如确认无误，请用 --admin-url 指定", refusal.Location)
	case refusal.Status == http.StatusNotFound && refusal.Code != "" && !namesTarget(err.Error(), refusal.Path):
		advice = s.sayf("asked for %s; is this the admin API's address? Give that with --admin-url",
			"请求的是 %s；该地址是否为管理接口？请用 --admin-url 指定", refusal.Path)
	case refusal.Status == http.StatusBadRequest:
		return said{visible(err.Error()), usageError{err}} // A flag has a value that the service does not take.
	case refusal.Code == "":
		advice = s.say("is this the admin API's address? Give that with --admin-url", "该地址是否为管理接口？请用 --admin-url 指定")
	}
	return said{s.advise(visible(err.Error()), visible(advice)), err}
}

// namesTarget tells whether a text names what a path below /admin/v1/KIND/ is about: then it says enough.
func namesTarget(text, path string) bool {
	for i, part := range strings.Split(path, "/") {
		if part, err := url.PathUnescape(part); i >= 4 && err == nil && part != "" && strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// advise adds advice to what is wrong, in the same sentence; without any it stays as it is.
func (s *screen) advise(text, advice string) string {
	if advice == "" {
		return text
	}
	return strings.TrimRight(text, ".。") + s.say("; ", "；") + advice
}

// said is an error in the words for the person who reads it.
type said struct {
	text string
	err  error
}

func (s said) Error() string { return s.text }
func (s said) Unwrap() error { return s.err }

func (s *screen) unsure() string {
	return s.say("whether it was done all the same is not known, so look before you do it again", "操作可能已生效，重试之前请先查看")
}

// show prints an answer: as JSON if that was asked for, else in words.
func show[T any](s *session, a adminclient.Answer[T], inWords func(*T) error) error {
	if s.json {
		return printJSON(s.w, a.Raw)
	}
	return inWords(&a.Value)
}

// printJSON writes JSON of the service's, indented. Values are not touched, but for characters that could drive a
// terminal: they are escaped, as JSON allows in the strings that alone can hold them.
func printJSON(w io.Writer, raw json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(raw), "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err := w.Write(escapeJSON(b.Bytes()))
	return err
}

// encodeJSON writes a command's own document as printJSON writes the service's.
func encodeJSON(w io.Writer, document any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // It is read by people, too.
	if err := enc.Encode(document); err != nil {
		return err
	}
	return printJSON(w, b.Bytes())
}

// escapeJSON writes what is hidden as \u escapes. Line feeds are between values here: inside of one, JSON has none.
func escapeJSON(text []byte) []byte {
	harmless := func(r rune) bool { return r == '\n' || !hidden(r) }
	if bytes.IndexFunc(text, func(r rune) bool { return !harmless(r) }) < 0 {
		return text
	}
	var b bytes.Buffer
	for _, r := range string(text) {
		switch {
		case harmless(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}

// paging says how much of a list is wanted.
type paging struct {
	Limit  int    `default:"100" placeholder:"N" help:"Rows at most (${default})."`
	All    bool   `help:"All rows."`
	Cursor string `placeholder:"CURSOR" help:"Go on where an earlier list ended: its next_cursor."`
}

// rows is how many rows are wanted; 0 is all.
func (p *paging) rows() (int, error) {
	switch {
	case p.All:
		return 0, nil
	case p.Limit < 1:
		return 0, usageError{errors.New("--limit must be 1 or above; --all lists all rows")}
	}
	return p.Limit, nil
}

// list shows a list page by page: as one JSON object, or as a table to which row adds an item.
func list[T any](ctx context.Context, s *session, l adminclient.List[T], p paging, t *table, row func(*table, *T)) error {
	limit, err := p.rows()
	if err != nil {
		return err
	}
	pages := l.Pages(ctx, limit, p.Cursor)
	if s.json {
		return listJSON(s.w, pages)
	}
	var end listEnd
	for page, err := range pages {
		if err != nil {
			return err
		}
		for i := range page.Items {
			row(t, &page.Items[i])
		}
		if err := t.flush(); err != nil {
			return err
		}
		end.next, end.some = page.Next, end.some || len(page.Items) > 0
		end.reading = cmp.Or(end.reading, page.Reading)
	}
	return s.noteEnd(&end)
}

// listEnd is what there is to say once a list was shown.
type listEnd struct {
	next    string               // The cursor of what was not shown.
	some    bool                 // A row was.
	reading *adminclient.Reading // Of the first page that was not whole.
}

func (s *session) noteEnd(end *listEnd) error {
	var err error
	switch {
	case end.next != "":
		err = s.note(s.sayf("there are more: --all lists all, --limit N more, --cursor %s those that follow",
			"还有更多：--all 列出全部，--limit N 列出更多，--cursor %s 列出其后的", end.next))
	case !end.some:
		err = s.note(s.say("nothing matches", "没有符合条件的内容"))
	}
	if r := end.reading; r != nil {
		err = errors.Join(err, s.note(s.sayf("the service was started a moment ago and has read %d of %d {2:event|events}: waybills that it has not read yet are missing here; ask again soon",
			"服务刚刚启动，已读取 %d / %d 个事件：尚未读取的运单不在列表中，请稍后再查", r.Events, r.Total)))
	}
	return err
}

// note says something beside the result, on standard error.
func (s *session) note(text string) error {
	_, err := fmt.Fprintln(s.world.stderr, "carrier:", visible(text))
	return err
}

// listJSON writes the pages as the one object that the API would answer.
func listJSON[T any](w io.Writer, pages iter.Seq2[adminclient.Page[T], error]) error {
	const begin = "{\n  \"items\": ["
	written, next := false, ""
	var reading json.RawMessage
	var b bytes.Buffer
	for page, err := range pages {
		if err != nil {
			return err
		}
		b.Reset()
		for _, item := range page.Raw {
			lead := ","
			if !written {
				lead, written = begin, true
			}
			b.WriteString(lead + "\n    ")
			if err := json.Indent(&b, item, "    ", "  "); err != nil {
				return err
			}
		}
		if _, err := w.Write(escapeJSON(b.Bytes())); err != nil {
			return err
		}
		next = page.Next
		if reading == nil || bytes.Equal(reading, []byte("null")) { // What the first page that was not whole said, stays.
			reading = page.RawReading
		}
	}
	cursor, err := json.Marshal(next)
	if err != nil {
		return err
	}
	end := "\n  ]"
	if !written {
		end = begin + "]"
	}
	b.Reset()
	fmt.Fprintf(&b, "%s,\n  \"next_cursor\": %s", end, cursor)
	if reading != nil {
		b.WriteString(",\n  \"reading\": ")
		if err := json.Indent(&b, reading, "  ", "  "); err != nil {
			return err
		}
	}
	b.WriteString("\n}\n")
	_, err = w.Write(escapeJSON(b.Bytes()))
	return err
}
