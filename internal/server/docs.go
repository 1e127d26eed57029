package server

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/swaggest/swgui/v5/static"

	"carrier/internal/problem"
)

// The pages at /docs are Swagger UI, in a page of our own: the one that swgui makes holds scripts, which a strict policy
// would not run. Everything is embedded; nothing is fetched from another address.

// docsPolicy lets the pages load only what is served beside them. Swagger UI's icons are data: URLs.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed docs
var docsFiles embed.FS

// docsAsset is a file that the page at /docs asks for.
type docsAsset struct {
	files     fs.FS
	name      string // in files; compressed if it ends in .gz
	mediaType string
}

var docsAssets = map[string]docsAsset{
	"swagger-ui.css":       {static.FS, "swagger-ui.css.gz", "text/css; charset=utf-8"},
	"swagger-ui-bundle.js": {static.FS, "swagger-ui-bundle.js.gz", "text/javascript; charset=utf-8"},
	"favicon-32x32.png":    {static.FS, "favicon-32x32.png", "image/png"},
	"docs.css":             {docsFiles, "docs/docs.css", "text/css; charset=utf-8"},
	"docs.js":              {docsFiles, "docs/docs.js", "text/javascript; charset=utf-8"},
}

// description serves one of the descriptions itself. Programs of any origin may read it: it holds no secret. Its ETag
// changes with it, so that tools which poll it are answered in a few bytes.
func description(text string) echo.HandlerFunc {
	sum := sha256.Sum256([]byte(text))
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	return func(c echo.Context) error {
		h := docsHeaders(c)
		h.Set("Content-Type", "application/yaml")
		h.Set("ETag", tag)
		h.Set("Cache-Control", "no-cache")
		http.ServeContent(c.Response(), c.Request(), "", time.Time{}, strings.NewReader(text))
		return nil
	}
}

// docs serves the page. Its addresses are relative, so that it works behind a proxy that adds a prefix.
func docs(c echo.Context) error {
	page, err := docsFiles.ReadFile("docs/index.html")
	if err != nil {
		return fmt.Errorf("reading the page of the API: %w", err)
	}
	docsHeaders(c).Set("Cache-Control", "no-cache")
	return c.HTMLBlob(http.StatusOK, page)
}

// docsFile serves what the page asks for. /docs/ leads to /docs.
func docsFile(c echo.Context) error {
	name := c.Param("*")
	if name == "" {
		return c.Redirect(http.StatusPermanentRedirect, "../docs")
	}
	asset, ok := docsAssets[name]
	if !ok {
		return problem.New(problem.NotFound)
	}
	h := docsHeaders(c)
	h.Set("Cache-Control", "max-age=600")
	return asset.write(c)
}

// docsHeaders sets what all of these answers have.
func docsHeaders(c echo.Context) http.Header {
	h := c.Response().Header()
	h.Set("Content-Security-Policy", docsPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	return h
}

// write answers with the file: compressed as it is kept, or unpacked for the few that can't read that.
func (a *docsAsset) write(c echo.Context) error {
	content, err := fs.ReadFile(a.files, a.name)
	if err != nil {
		return fmt.Errorf("reading a file of the API's pages: %w", err)
	}
	h := c.Response().Header()
	zipped := strings.HasSuffix(a.name, ".gz")
	if zipped {
		h.Add("Vary", "Accept-Encoding")
	}
	switch {
	case zipped && takesGzip(c.Request().Header):
		h.Set("Content-Encoding", "gzip")
	case zipped:
		unpacked, err := gzip.NewReader(bytes.NewReader(content))
		if err != nil {
			return fmt.Errorf("unpacking %s: %w", a.name, err)
		}
		if content, err = io.ReadAll(unpacked); err != nil {
			return fmt.Errorf("unpacking %s: %w", a.name, err)
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(content)))
	return c.Blob(http.StatusOK, a.mediaType, content)
}

// takesGzip reads Accept-Encoding (RFC 9110, section 12.5.3) as far as it matters here: gzip by name, and not refused.
func takesGzip(h http.Header) bool {
	for coding := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		q, weighed := strings.CutPrefix(strings.TrimSpace(weight), "q=")
		value, err := strconv.ParseFloat(q, 64)
		return !weighed || err == nil && value > 0
	}
	return false
}
