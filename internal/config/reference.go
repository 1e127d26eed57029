package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Reference is a Markdown table of every key: type, default, whether a running service takes it over, and meaning, in
// English or Chinese.
func Reference(zh bool) string {
	var b strings.Builder
	if zh {
		b.WriteString("| 配置项 | 类型 | 默认值 | 重新加载 | 说明 |\n| --- | --- | --- | --- | --- |\n")
	} else {
		b.WriteString("| key | type | default | reload | meaning |\n| --- | --- | --- | --- | --- |\n")
	}
	for _, l := range leaves() {
		if strings.HasSuffix(l.pattern, "[]") {
			continue // An element of a list of texts: the list says it all.
		}
		meaning := meaningOf(l.pattern, zh)
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", l.pattern, typeName(l, zh), defaultText(l, zh), reloadText(l, zh), escapeCell(meaning))
	}
	return b.String()
}

func meaningOf(pattern string, zh bool) string {
	if zh {
		return keys[pattern].zh
	}
	return keys[pattern].en
}

// reloadText says whether a reload takes a key over.
func reloadText(l leaf, zh bool) string {
	switch {
	case needsRestart(l.pattern) && zh:
		return "需重启"
	case needsRestart(l.pattern):
		return "restart"
	case zh:
		return "是"
	}
	return "yes"
}

// defaultText is a default as it is written in the file.
func defaultText(l leaf, zh bool) string {
	switch v := jsonValue(l.byDefault); {
	case keys[l.pattern].required && zh:
		return "必填"
	case keys[l.pattern].required:
		return "required"
	case l.typ.Kind() == reflect.Slice:
		return "`[]`"
	case l.typ.Kind() == reflect.Map:
		return "`{}`"
	case v == "":
		return "`\"\"`"
	default:
		return fmt.Sprintf("`%v`", v)
	}
}

// typeName says what is written, and where a secret's twin is.
func typeName(l leaf, zh bool) string {
	en, cn := "text", "文本"
	switch {
	case keys[l.pattern].choices != nil:
		choices := "`" + strings.Join(keys[l.pattern].choices, "` `") + "`"
		en, cn = choices, choices
	case hasTwin(l.typ):
		twin := "`" + l.pattern[strings.LastIndexByte(l.pattern, '.')+1:] + fileSuffix + "`"
		en, cn = "secret, or "+twin, "密钥，或 "+twin
		if l.typ == reflect.TypeFor[DSN]() {
			en, cn = "address, or "+twin, "地址，或 "+twin
		}
	case isListOfStructs(l.typ):
		en, cn = "list", "列表"
	case l.typ.Kind() == reflect.Slice:
		en, cn = "list of text", "文本列表"
	case l.typ.Kind() == reflect.Map:
		en, cn = "errcode: scope", "错误码：作用范围"
	case l.typ == reflect.TypeFor[Duration]():
		en, cn = "duration", "时长"
	case l.typ == reflect.TypeFor[Size]():
		en, cn = "size", "大小"
	case l.typ.Kind() == reflect.Int:
		en, cn = "whole number", "整数"
	case l.typ.Kind() == reflect.Bool:
		en, cn = "`true` `false`", "`true` `false`"
	case l.typ.Kind() == reflect.Float64:
		en, cn = "number", "数字"
	}
	if zh {
		return cn
	}
	return en
}

// escapeCell keeps text within its cell of a Markdown table.
func escapeCell(s string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "\n", " ").Replace(s)
}
