package pathpush

import (
	"strings"

	"carrier/internal/wechat"
)

// words are one thing said in English and in Chinese.
type words struct{ en, zh string }

// inBoth are words that are the same in both: upstream's, or an error's.
func inBoth(text string) words { return words{text, text} }

// failuresChinese is what sumUp says, in Chinese. It reads it, since other nodes tell no more than that.
func failuresChinese(openedBy string) string {
	parts := strings.Split(openedBy, ", ")
	for i, part := range parts {
		if n, what, ok := strings.Cut(part, " × "); ok {
			parts[i] = n + " × " + failureChinese(what)
		}
	}
	return strings.Join(parts, "，")
}

func failureChinese(what string) string {
	if what == noAnswer {
		return "无应答"
	}
	return wechat.KindChinese(what)
}
