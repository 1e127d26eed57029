package problem

import (
	"fmt"
	"regexp"
	"strings"
)

// forms are two forms of words, of which a value chooses: "{1:push has|pushes have}" is "push has" if the first value is
// 1. Chinese has one form for all numbers.
var forms = regexp.MustCompile(`\{(\d):([^{}|]*)\|([^{}|]*)\}`)

// Sprintf is fmt.Sprintf for English sentences with numbers in them: it chooses among words in two forms, as in
// "%s {1:push has|pushes have} failed". A value counts as one if it is written 1.
func Sprintf(format string, args ...any) string {
	if strings.Contains(format, "{") {
		format = forms.ReplaceAllStringFunc(format, func(both string) string {
			f := forms.FindStringSubmatch(both)
			if n := int(f[1][0] - '0'); n >= 1 && n <= len(args) && fmt.Sprint(args[n-1]) == "1" {
				return f[2]
			}
			return f[3]
		})
	}
	return fmt.Sprintf(format, args...)
}
