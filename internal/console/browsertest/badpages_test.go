package browsertest

import (
	"fmt"
	"net/http"
)

// badPages are pages that do what the console's never may.
func badPages() http.Handler {
	pages := map[string]string{
		"/fine":    `<p>hello`,
		"/console": `<script>console.log("here")</script>`,
		"/throws":  `<script>throw new Error("oh no")</script>`,
		"/policy":  `<script>alert("never")</script>`,
		"/alert":   `<script>alert("hello")</script>`,
		"/away":    `<img src="http://elsewhere.invalid/x.png">`,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if r.URL.Path == "/policy" {
			w.Header().Set("Content-Security-Policy", "script-src 'self'")
		}
		_, _ = fmt.Fprintf(w, `<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>x</title>%s`, pages[r.URL.Path])
	})
}
