package server

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"carrier/api"
)

func TestDescriptionsAreServed(t *testing.T) {
	for path, want := range map[string]string{"/openapi.yaml": api.OpenAPI, "/asyncapi.yaml": api.AsyncAPI} {
		t.Run(path, func(t *testing.T) {
			r := newRig(t)
			w := r.do("GET", path, "", "Authorization", "")
			wantStatus(t, w, http.StatusOK)
			if w.Header().Get("Content-Type") != "application/yaml" || w.Body.String() != want {
				t.Errorf("got %d bytes as %q", w.Body.Len(), w.Header().Get("Content-Type"))
			}
			tag := w.Header().Get("ETag")
			if w := r.do("GET", path, "", "If-None-Match", tag); tag == "" || w.Code != http.StatusNotModified || w.Body.Len() != 0 {
				t.Errorf("asked again with %s: %d with %d bytes", tag, w.Code, w.Body.Len())
			}
		})
	}
}

var address = regexp.MustCompile(`(?:src|href)="([^"]*)"`)

// TestDocsAreWhole: everything that the page asks for is there, with its type, and none of it is somewhere else.
func TestDocsAreWhole(t *testing.T) {
	r := newRig(t)
	page := r.do("GET", "/docs", "", "Authorization", "")
	wantStatus(t, page, http.StatusOK)
	if got := page.Header().Get("Content-Type"); !strings.HasPrefix(got, "text/html") {
		t.Errorf("the page is %q", got)
	}
	if regexp.MustCompile(`<script>|<style|style=|https?:|//`).MatchString(strings.ReplaceAll(page.Body.String(), "</", "")) {
		t.Errorf("the page holds a script, a style or an address of its own:\n%s", page.Body)
	}
	found := address.FindAllStringSubmatch(page.Body.String(), -1)
	if len(found) < 6 {
		t.Fatalf("the page has only the addresses %q", found)
	}
	for _, m := range found {
		w := r.do("GET", "/"+m[1], "", "Authorization", "", "Accept-Encoding", "gzip")
		wantStatus(t, w, http.StatusOK)
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Content-Security-Policy": docsPolicy,
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", m[1], name, got, want)
			}
		}
	}
	if strings.Contains(docsPolicy, "unsafe") || strings.Contains(docsPolicy, "http") || strings.Contains(docsPolicy, "*") {
		t.Errorf("the policy is %s", docsPolicy)
	}
}

// TestDocsFiles: each file is the same with and without compression.
func TestDocsFiles(t *testing.T) {
	r := newRig(t)
	for name, want := range docsAssets {
		t.Run(name, func(t *testing.T) {
			plain := r.do("GET", "/docs/"+name, "", "Authorization", "")
			wantStatus(t, plain, http.StatusOK)
			if got := plain.Header().Get("Content-Type"); got != want.mediaType || plain.Header().Get("Content-Encoding") != "" {
				t.Errorf("got %q, %q", got, plain.Header().Get("Content-Encoding"))
			}
			zipped := r.do("GET", "/docs/"+name, "", "Accept-Encoding", "br, gzip;q=0.8")
			body := zipped.Body.Bytes()
			if strings.HasSuffix(want.name, ".gz") != (zipped.Header().Get("Content-Encoding") == "gzip") {
				t.Fatalf("the coding is %q", zipped.Header().Get("Content-Encoding"))
			}
			if strings.HasSuffix(want.name, ".gz") {
				if zipped.Header().Get("Vary") != "Accept-Encoding" || plain.Header().Get("Vary") != "Accept-Encoding" {
					t.Error("caches are not told that it comes in two forms")
				}
				body = unzip(t, body)
			}
			if !bytes.Equal(body, plain.Body.Bytes()) || len(body) == 0 {
				t.Errorf("%d bytes plain, %d unpacked", plain.Body.Len(), len(body))
			}
		})
	}
}

func unzip(t *testing.T, packed []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestDocsAddresses(t *testing.T) {
	r := newRig(t)
	w := r.do("GET", "/docs/", "")
	if w.Code != http.StatusPermanentRedirect || w.Header().Get("Location") != "../docs" {
		t.Errorf("/docs/: %d to %q", w.Code, w.Header().Get("Location"))
	}
	for _, path := range []string{
		"/docs/nope", "/docs/docs/docs.js", "/docs/../routes.go", "/docs/%2e%2e/docs.js", "/docs/index.html", "/docs/swagger-ui.css.gz",
		"/docs//docs.js", "/docs/oauth2-redirect.html",
	} {
		wantProblem(t, r.do("GET", path, ""), http.StatusNotFound, "not_found")
	}
	wantProblem(t, r.do("POST", "/docs", ""), http.StatusMethodNotAllowed, "method_not_allowed")
	if w := r.do("HEAD", "/openapi.yaml", "", "Authorization", ""); w.Code != http.StatusOK || w.Header().Get("Content-Length") == "" {
		t.Errorf("HEAD: %d with the length %q", w.Code, w.Header().Get("Content-Length"))
	}
}

func TestTakesGzip(t *testing.T) {
	tests := map[string]bool{
		"": false, "gzip": true, "GZIP": true, "br, gzip": true, "gzip;q=0": false, "gzip; q=0.0": false, "gzip;q=0.001": true,
		"identity": false, "deflate, br": false, "gzip;q=x": false, "*": false, "xgzip": false, ",,gzip ,": true,
	}
	for header, want := range tests {
		if got := takesGzip(http.Header{"Accept-Encoding": {header}}); got != want {
			t.Errorf("%q: %t", header, got)
		}
	}
	if !takesGzip(http.Header{"Accept-Encoding": {"br", "gzip"}}) {
		t.Error("the second of two headers is not seen")
	}
}
