package console

import (
	"net/http"
	"time"

	"carrier/internal/problem"
)

// How a visitor wants the pages to be. Neither is a secret, and neither needs a log-in.
const (
	langCookie  = "carrier_lang"
	themeCookie = "carrier_theme"
	// prefsFor is how long a browser remembers it.
	prefsFor = 365 * 24 * time.Hour
)

// language is what the visitor chose, and else what the browser asks for.
func language(r *http.Request) problem.Language {
	if cookie, err := r.Cookie(langCookie); err == nil {
		if l, ok := readLanguage(cookie.Value); ok {
			return l
		}
	}
	return problem.Negotiate(r.Header.Get("Accept-Language"))
}

func readLanguage(tag string) (problem.Language, bool) {
	for _, l := range []problem.Language{problem.English, problem.Chinese} {
		if tag == l.Tag() {
			return l, true
		}
	}
	return problem.English, false
}

// theme is "light" or "dark" if the visitor chose, and else empty.
func theme(r *http.Request) string {
	cookie, err := r.Cookie(themeCookie)
	if err == nil && (cookie.Value == "light" || cookie.Value == "dark") {
		return cookie.Value
	}
	return ""
}

// remember keeps a choice that the address names (?lang=, ?theme=) and sends the visitor to the same page without it,
// so that links that are passed on choose nothing for others. It tells whether it has answered.
func (v *Visit) remember() bool {
	if v.R.Method != http.MethodGet {
		return false
	}
	q := v.R.URL.Query()
	here := v.R.URL.RequestURI()
	chosen := false
	if tag := q.Get("lang"); tag != "" {
		if _, ok := readLanguage(tag); ok {
			v.keep(langCookie, tag)
		}
		here, chosen = withParam(here, "lang", ""), true
	}
	if name := q.Get("theme"); name != "" {
		if name == "light" || name == "dark" || name == "auto" {
			v.keep(themeCookie, name)
		}
		here, chosen = withParam(here, "theme", ""), true
	}
	if chosen {
		_ = v.Redirect(here) // It can't fail.
	}
	return chosen
}

func (v *Visit) keep(name, value string) {
	http.SetCookie(v.W, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(prefsFor.Seconds()),
		HttpOnly: true, Secure: v.call.Secure, SameSite: http.SameSiteStrictMode,
	})
}
