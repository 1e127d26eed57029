package console

import (
	"fmt"
	"html/template"
	"maps"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"carrier/internal/admin"
	"carrier/internal/problem"
	"carrier/internal/store"
)

// beijing is the zone that times are shown in: couriers, WeChat and the quota's day go by it.
var beijing = time.FixedZone("UTC+8", 8*3600)

// functions are what templates call, in one language.
func functions(lang problem.Language) template.FuncMap {
	f := formatter{lang}
	all := template.FuncMap{
		"t":        func(key string, args ...any) string { return say(lang, key, args...) },
		"text":     func(t admin.Text) string { return inBeijing(in(lang, t)) },
		"word":     func(t problem.Text) string { return t.In(lang) },
		"time":     f.time,
		"clock":    f.clock,
		"ago":      f.ago,
		"span":     f.span,
		"count":    f.count,
		"rate":     f.rate,
		"errcode":  f.errcode,
		"ofStatus": ofStatus,
		"path":     pathTo,
		"asset":    assetPath,
	}
	maps.Copy(all, f.listFunctions())
	return all
}

// pathTo is the path of these parts. Waybills and accounts may hold any printable character, a slash too.
func pathTo(parts ...string) string {
	var b strings.Builder
	for _, part := range parts {
		b.WriteString("/" + url.PathEscape(part))
	}
	return b.String()
}

// ofStatus is how many pushes have a status.
func ofStatus(counts map[store.Status]int64, name string) (int64, error) {
	var status store.Status
	err := status.UnmarshalText([]byte(name))
	return counts[status], err
}

// formatter writes values for people who read one language.
type formatter struct{ lang problem.Language }

// time is an instant in Beijing, as an element that the script can show in the viewer's zone. It takes a time.Time or a
// pointer to one, which may be nil.
func (f formatter) time(v any) template.HTML { return f.element(v, time.DateTime) }

// clock is time without the day.
func (f formatter) clock(v any) template.HTML { return f.element(v, time.TimeOnly) }

func (f formatter) element(v any, layout string) template.HTML {
	t := instant(v)
	if t.IsZero() {
		return template.HTML(say(f.lang, "frame.none"))
	}
	return template.HTML(`<time datetime="` + t.UTC().Format(time.RFC3339Nano) + `">` + t.In(beijing).Format(layout) + `</time>`)
}

// instant is the time that v is, or points to; zero for nil.
func instant(v any) time.Time {
	switch t := v.(type) {
	case time.Time:
		return t
	case *time.Time:
		if t != nil {
			return *t
		}
	case int64: // A scan's action_time: seconds.
		return time.Unix(t, 0)
	}
	return time.Time{}
}

// ago is how long ago an instant is.
func (f formatter) ago(v any) string {
	t := instant(v)
	if t.IsZero() {
		return say(f.lang, "frame.none")
	}
	return f.span(time.Since(t).Seconds())
}

// span is a number of seconds in words, to two units.
func (f formatter) span(seconds float64) string {
	d := time.Duration(max(0, seconds) * float64(time.Second)).Round(time.Second)
	days, hours, minutes := int(d.Hours())/24, int(d.Hours())%24, int(d.Minutes())%60
	switch {
	case d < time.Minute:
		return say(f.lang, "age.seconds", int(d.Seconds()))
	case d < time.Hour:
		return say(f.lang, "age.minutes", minutes)
	case d < 24*time.Hour && minutes == 0:
		return say(f.lang, "age.hour", hours)
	case hours == 0:
		return say(f.lang, "age.day", days)
	case d < 24*time.Hour:
		return say(f.lang, "age.hours", hours, minutes)
	}
	return say(f.lang, "age.days", days, hours)
}

// count is a whole number with commas.
func (f formatter) count(v any) string {
	var digits string
	switch n := v.(type) {
	case int:
		digits = strconv.Itoa(n)
	case int64:
		digits = strconv.FormatInt(n, 10)
	case uint64:
		digits = strconv.FormatUint(n, 10)
	case *int64:
		if n == nil {
			return say(f.lang, "frame.none")
		}
		digits = strconv.FormatInt(*n, 10)
	default:
		return fmt.Sprint(v)
	}
	return grouped(digits)
}

// rate is how many in a unit of time; small ones have a decimal.
func (f formatter) rate(n float64) string {
	if n < 9.95 {
		return strconv.FormatFloat(n, 'f', 1, 64)
	}
	return f.count(int64(math.Round(n)))
}

func grouped(digits string) string {
	digits, negative := strings.CutPrefix(digits, "-")
	var b strings.Builder
	for i, c := range []byte(digits) {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteByte(c)
	}
	if negative {
		return "-" + b.String()
	}
	return b.String()
}

// errcode is a code with its meaning; nil is no readable answer.
func (f formatter) errcode(code *int) string {
	if code == nil {
		return say(f.lang, "frame.none")
	}
	if meaning := in(f.lang, admin.Meaning(code)); meaning != "" {
		return strconv.Itoa(*code) + " " + meaning
	}
	return strconv.Itoa(*code)
}
