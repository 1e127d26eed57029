package apicheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Exchange is a request and its answer. Without Body, the request had none or it is not looked at.
type Exchange struct {
	Method     string
	URL        *url.URL
	Header     http.Header
	Body       []byte
	Status     int
	AnswerHead http.Header
	AnswerBody []byte
}

// Check fails the test if the exchange is not as the description says. It reads the answer's body and puts it back. The
// request's body is looked at if it can be read again (http.Request.GetBody), as those of http.NewRequest can.
func Check(t testing.TB, req *http.Request, resp *http.Response) {
	t.Helper()
	x := Exchange{Method: req.Method, URL: req.URL, Header: req.Header, Status: resp.StatusCode, AnswerHead: resp.Header}
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err == nil {
			x.Body, err = io.ReadAll(body)
		}
		if err != nil {
			t.Errorf("%s %s: reading the request's body again: %v", req.Method, req.URL, err)
			return
		}
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("%s %s: reading the answer: %v", req.Method, req.URL, err)
		return
	}
	_ = resp.Body.Close() // It is read to its end.
	resp.Body = io.NopCloser(bytes.NewReader(body))
	x.AnswerBody = body
	CheckExchange(t, x)
}

// CheckExchange does the same for an exchange that was recorded.
func CheckExchange(t testing.TB, x Exchange) {
	t.Helper()
	d, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Check(x); err != nil {
		t.Errorf("%s %s was answered %d, not as the API's description says:\n%v\nthe answer: %.2000s",
			x.Method, x.URL.RequestURI(), x.Status, err, x.AnswerBody)
	}
}

// Transport checks what passes through next. Answers that stream are read to their end before they are handed on.
func Transport(t testing.TB, next http.RoundTripper) http.RoundTripper { return &transport{t, next} }

type transport struct {
	t    testing.TB
	next http.RoundTripper
}

func (c *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(req)
	if err == nil {
		Check(c.t, req, resp)
	}
	return resp, err
}

// CloseIdleConnections lets http.Client.CloseIdleConnections through.
func (c *transport) CloseIdleConnections() {
	if next, can := c.next.(interface{ CloseIdleConnections() }); can {
		next.CloseIdleConnections()
	}
}

// Check says all that is not as the description says.
func (d *Document) Check(x Exchange) error {
	op, params, err := d.operation(&x)
	if err != nil || op.Pointer == "" {
		return err
	}
	return errors.Join(d.checkRequest(&x, op, params), d.checkAnswer(&x, op, params))
}

// operation finds the operation, and its parameters in the path. What is not there must be answered 404 or 405, and
// there is no more to say about it then.
func (d *Document) operation(x *Exchange) (op Node, params map[string]string, err error) {
	method := strings.ToLower(x.Method)
	if method == "head" {
		method = "get"
	}
	path, params := d.path(x.URL.EscapedPath(), method)
	switch op, ok := d.At("paths", path, method); {
	case ok:
		return op, params, nil
	case path == "" && x.Status != http.StatusNotFound:
		return Node{}, nil, fmt.Errorf("it has no path %s", x.URL.Path)
	case path != "" && method != "options" && x.Status != http.StatusMethodNotAllowed:
		return Node{}, nil, fmt.Errorf("its path %s has no method %s", path, x.Method)
	}
	return Node{}, nil, nil
}

// path finds the template that a path fits: the one with the fewest parameters, of those that have the method if any has.
func (d *Document) path(escaped, method string) (template string, params map[string]string) {
	paths, _ := d.At("paths")
	best := -1
	for _, candidate := range paths.Names() {
		found, ok := fits(candidate, escaped)
		if !ok {
			continue
		}
		rank := 100 - len(found)
		if _, has := d.At("paths", candidate, method); has {
			rank += 1000
		}
		if rank > best {
			best, template, params = rank, candidate, found
		}
	}
	return template, params
}

func fits(template, escaped string) (map[string]string, bool) {
	want, got := strings.Split(template, "/"), strings.Split(escaped, "/")
	if len(want) != len(got) {
		return nil, false
	}
	params := map[string]string{}
	for i, part := range want {
		name, isParam := strings.CutPrefix(part, "{")
		switch {
		case isParam:
			value, err := url.PathUnescape(got[i])
			if err != nil {
				return nil, false
			}
			params[strings.TrimSuffix(name, "}")] = value
		case part != got[i]:
			return nil, false
		}
	}
	return params, true
}

// input is the exchange as kin-openapi wants it, without its bodies.
func (d *Document) input(x *Exchange, op Node, params map[string]string) (*openapi3filter.RequestValidationInput, error) {
	req, err := http.NewRequest(x.Method, x.URL.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header = x.Header.Clone()
	parts := strings.Split(op.Pointer, "/") // "", paths, PATH, METHOD
	path := strings.NewReplacer("~1", "/", "~0", "~").Replace(parts[2])
	item := d.Kin.Paths.Value(path)
	return &openapi3filter.RequestValidationInput{
		Request: req, PathParams: params, QueryParams: x.URL.Query(),
		Route: &routers.Route{
			Spec: d.Kin, Path: path, PathItem: item, Method: strings.ToUpper(parts[3]),
			Operation: item.GetOperation(strings.ToUpper(parts[3])),
		},
		Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, MultiError: true, SkipSettingDefaults: true,
			ExcludeRequestBody: true, ExcludeResponseBody: true, IncludeResponseStatus: true,
		},
	}, nil
}

func (d *Document) checkRequest(x *Exchange, op Node, params map[string]string) error {
	if x.Status >= http.StatusBadRequest {
		return nil
	}
	in, err := d.input(x, op, params)
	if err != nil {
		return err
	}
	errs := []error{openapi3filter.ValidateRequest(context.Background(), in)}
	for name := range x.URL.Query() {
		if in.Route.Operation.Parameters.GetByInAndName("query", name) == nil {
			errs = append(errs, fmt.Errorf("it has no parameter %q", name))
		}
	}
	return errors.Join(append(errs, d.checkRequestBody(x, op))...)
}

func (d *Document) checkRequestBody(x *Exchange, op Node) error {
	body, has := d.Member(op, "requestBody")
	switch {
	case !has && len(x.Body) > 0:
		return errors.New("it has no body for this request")
	case !has, len(x.Body) == 0, binary(x), partlyInvalid(x):
		return nil
	}
	return d.checkBody(body, x.Header, x.Body, "application/json", false)
}

// binary tells a CloudEvent in binary mode: what the body lacks is in headers, which no schema can say.
func binary(x *Exchange) bool { return x.Header.Get("Ce-Specversion") != "" }

// partlyInvalid tells a batch of which some items were refused: it was taken as a whole for the others.
func partlyInvalid(x *Exchange) bool {
	answer, err := jsonschema.UnmarshalJSON(bytes.NewReader(x.AnswerBody))
	if err != nil {
		return false
	}
	invalid := member(member(answer, "counts"), "invalid")
	return invalid != nil && fmt.Sprint(invalid) != "0"
}

// anyStatus are the statuses that default stands for; all others must be told of.
var anyStatus = []int{http.StatusMethodNotAllowed, http.StatusRequestTimeout, http.StatusInternalServerError}

func (d *Document) checkAnswer(x *Exchange, op Node, params map[string]string) error {
	responses, _ := d.Member(op, "responses")
	answer, ok := d.Member(responses, strconv.Itoa(x.Status))
	if !ok && slices.Contains(anyStatus, x.Status) {
		answer, ok = d.Member(responses, "default")
	}
	if !ok {
		return fmt.Errorf("it has no status %d here", x.Status)
	}
	in, err := d.input(x, op, params)
	if err != nil {
		return err
	}
	errs := []error{openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: x.Status, Header: x.AnswerHead, Options: in.Options,
	})}
	if _, has := d.Member(answer, "content"); has && x.Method != http.MethodHead {
		errs = append(errs, d.checkBody(answer, x.AnswerHead, x.AnswerBody, "", true), sameStatus(x))
	}
	return errors.Join(errs...)
}

// checkBody checks a body against what stands under content. A request need not say that it is JSON everywhere; fallback
// is what it is then.
func (d *Document) checkBody(of Node, h http.Header, body []byte, fallback string, strict bool) error {
	mediaType, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		mediaType = fallback
	}
	content, _ := d.Member(of, "content")
	media, ok := d.Member(content, mediaType)
	if !ok {
		return fmt.Errorf("it has no media type %q here, only %s", h.Get("Content-Type"), strings.Join(content.Names(), ", "))
	}
	schema, ok := d.Member(media, "schema")
	if !ok {
		return nil
	}
	var value any = string(body)
	if isJSON(mediaType) {
		if value, err = jsonschema.UnmarshalJSON(bytes.NewReader(body)); err != nil {
			return fmt.Errorf("the body is no JSON: %w", err)
		}
	}
	return d.Validate(schema.Pointer, value, strict)
}

func isJSON(mediaType string) bool {
	return mediaType == "application/json" || strings.HasSuffix(mediaType, "+json")
}

// sameStatus compares the status that a problem tells with the answer's.
func sameStatus(x *Exchange) error {
	if !strings.HasPrefix(x.AnswerHead.Get("Content-Type"), "application/problem+json") {
		return nil
	}
	problem, err := jsonschema.UnmarshalJSON(bytes.NewReader(x.AnswerBody))
	if err != nil {
		return nil // Told already.
	}
	if status := fmt.Sprint(member(problem, "status")); status != strconv.Itoa(x.Status) {
		return fmt.Errorf("the problem says status %s", status)
	}
	return nil
}
