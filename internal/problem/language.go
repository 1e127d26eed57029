package problem

import (
	"fmt"

	"golang.org/x/text/language"
)

// Language is one of the two languages that callers are spoken to in. The zero value is English.
type Language uint8

const (
	English Language = iota
	Chinese          // Simplified.
)

// Tag is the language as in Content-Language.
func (l Language) Tag() string {
	if l == Chinese {
		return "zh-CN"
	}
	return "en"
}

// maxAcceptLanguage bounds what is parsed of a header that a stranger sends, in bytes; browsers send under 100.
const maxAcceptLanguage = 512

// offered are the languages to choose from; the first is the default. Traditional Chinese readers are better served
// by simplified Chinese than by English, so both stand for Chinese.
var offered = language.NewMatcher([]language.Tag{
	language.English, language.SimplifiedChinese, language.TraditionalChinese,
})

// Negotiate chooses the language for an Accept-Language header (RFC 9110, section 12.5.4). English is the answer to
// everything that does not ask for Chinese first: an empty, unreadable or overlong header too.
func Negotiate(acceptLanguage string) Language {
	if acceptLanguage == "" || len(acceptLanguage) > maxAcceptLanguage {
		return English
	}
	wanted, _, err := language.ParseAcceptLanguage(acceptLanguage)
	if err != nil {
		return English
	}
	if _, i, _ := offered.Match(wanted...); i > 0 {
		return Chinese
	}
	return English
}

// Text is one thing said in both languages.
type Text struct{ En, Zh string }

// Textf fills the same values into both languages. Where their order differs, use explicit indexes (%[2]s); where English
// has another form for one, both (see Sprintf).
func Textf(en, zh string, args ...any) Text {
	return Text{En: Sprintf(en, args...), Zh: fmt.Sprintf(zh, args...)}
}

// In is the text in l.
func (t Text) In(l Language) string {
	if l == Chinese {
		return t.Zh
	}
	return t.En
}
