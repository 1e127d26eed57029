package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

var update = flag.Bool("update", false, "write configs/carrier.schema.json anew")

const schemaFile = "../../configs/carrier.schema.json"

func TestSchemaFile(t *testing.T) {
	if *update {
		if err := os.WriteFile(schemaFile, Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, Schema()) {
		t.Error("configs/carrier.schema.json is out of date; run: go test ./internal/config -run TestSchemaFile -update")
	}
}

// Every key and every twin is a property with a description in both languages, and nothing else is.
func TestSchemaHasEveryKey(t *testing.T) {
	var want []string
	for _, l := range leaves() {
		want = append(want, l.pattern)
		if hasTwin(l.typ) {
			want = append(want, l.pattern+fileSuffix)
		}
	}
	for section := range sections {
		if !strings.HasSuffix(section, "[]") {
			want = append(want, section)
		}
	}
	var got []string
	schemaKeys(t, schemaRoot(t), "", &got)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// schemaKeys lists the properties below a schema.
func schemaKeys(t *testing.T, s object, path string, keys *[]string) {
	for key, p := range asObject(s["properties"]) {
		property, sub := p.(object), join(path, key)
		*keys = append(*keys, sub)
		if d, _ := property["description"].(string); len(strings.Split(d, "\n\n")) != 2 {
			t.Errorf("%s has the description %q", sub, d)
		}
		if asObject(property["items"])["properties"] != nil {
			schemaKeys(t, property["items"].(object), sub+"[]", keys)
		}
		schemaKeys(t, property, sub, keys)
	}
}

func TestSchemaAccepts(t *testing.T) {
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	for name, yaml := range map[string]string{
		"example": string(text), "example with merchants": withMerchants(t, string(text)), "nothing": "", "empty sections": "server:\naccounts:\n",
		"variables":   "accounts: [{delivery_id: \"${A}\", concurrency: \"${B}\", timeout: \"${C}s\", token_mode: \"${D}\", rate: \"${E}\"}]",
		"other forms": "state: {max_age: 0, max_future: 1h30m}\nserver: {max_body: 65536, trusted_proxies: [\"fd00::/8\"]}\npush: {errcodes: {-1: event}}",
		"twins":       "accounts: [{delivery_id: SF, secret_file: x, callback: {token_file: y}}]",
	} {
		if problems := validate(schemaRoot(t), decodeYAML(t, yaml)); len(problems) > 0 {
			t.Errorf("%s: %q", name, problems)
		}
	}
}

func TestSchemaRejects(t *testing.T) {
	for name, yaml := range map[string]string{
		"unknown section":         "sever: {}",
		"unknown key":             "server: {listn: x}",
		"twin of no secret":       "log: {level_file: x}",
		"section is text":         "server: x",
		"list is a mapping":       "accounts: {delivery_id: SF}",
		"list is text":            "sources: [{name: a, delivery_ids: SF}]",
		"text is a number":        "accounts: [{delivery_id: SF, secret: 1}]",
		"number is text":          "accounts: [{delivery_id: SF, concurrency: \"64\"}]",
		"fraction":                "accounts: [{delivery_id: SF, concurrency: 1.5}]",
		"no concurrency":          "accounts: [{delivery_id: SF, concurrency: 0}]",
		"too much concurrency":    "accounts: [{delivery_id: SF, concurrency: 10001}]",
		"duration without unit":   "state: {max_age: 5}",
		"duration in days":        "state: {max_age: 5d}",
		"negative duration":       "state: {max_age: -5s}",
		"size in MB":              "server: {max_body: 1MB}",
		"no CIDR":                 "server: {trusted_proxies: [10.0.0.1]}",
		"account without id":      "accounts: [{appid: x}]",
		"source without name":     "sources: [{api_key: x}]",
		"admin token without all": "admin: {tokens: [{}]}",
		"unknown role":            "admin: {tokens: [{name: a, role: root}]}",
		"unknown token_mode":      "accounts: [{delivery_id: SF, token_mode: x}]",
		"unknown log level":       "log: {level: loud}",
		"unknown scope":           "push: {errcodes: {40199: ignore}}",
		"errcode 0":               "push: {errcodes: {0: event}}",
		"errcode in words":        "push: {errcodes: {busy: event}}",
		"secret and its file":     "accounts: [{delivery_id: SF, secret: a, secret_file: b}]",
		"failure_ratio 0":         "push: {breaker: {failure_ratio: 0}}",
		"guard without window":    "push: {guard: {min: 0}}",
		"guard share above 1":     "push: {guard: {share: 1.1}}",
		"failure_ratio above 1":   "push: {breaker: {failure_ratio: 1.1}}",
		"multiplier below 1":      "push: {retry: {multiplier: 0.5}}",
	} {
		if problems := validate(schemaRoot(t), decodeYAML(t, yaml)); len(problems) == 0 {
			t.Errorf("%s is accepted", name)
		}
		inFolder(t, map[string]string{"c.yaml": yaml})
		if c, err := Load("c.yaml", nil); err == nil && c.Check() == nil {
			t.Errorf("%s: Load and Check accept what the schema rejects", name)
		}
	}
}

func schemaRoot(t *testing.T) object {
	t.Helper()
	var root object
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	return root
}

// decodeYAML reads a text as an editor's checker sees it: as JSON.
func decodeYAML(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return jsonLike(v)
}

// jsonLike makes the numbers and keys of JSON from those of YAML.
func jsonLike(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := object{}
		for k, e := range v {
			out[k] = jsonLike(e)
		}
		return out
	case map[any]any:
		out := object{}
		for k, e := range v {
			out[fmt.Sprint(k)] = jsonLike(e)
		}
		return out
	case []any:
		for i := range v {
			v[i] = jsonLike(v[i])
		}
		return v
	case int, int64, uint64:
		r := reflect.ValueOf(v)
		return r.Convert(reflect.TypeFor[float64]()).Float()
	}
	return v
}

func asObject(v any) object {
	o, _ := v.(object)
	return o
}

// validator checks the part of JSON Schema that Schema uses, and panics at any other.
type validator struct{ root object }

func validate(root object, v any) []string { return validator{root}.check(root, v, "$") }

func (w validator) check(schema object, v any, at string) (problems []string) {
	for keyword, arg := range schema {
		problems = append(problems, w.keyword(schema, keyword, arg, v, at)...)
	}
	return problems
}

func (w validator) keyword(schema object, keyword string, arg, v any, at string) []string {
	fail := func(holds bool) []string {
		if holds {
			return nil
		}
		return []string{fmt.Sprintf("%s: %s %v", at, keyword, arg)}
	}
	n, isNumber := v.(float64)
	s, isText := v.(string)
	switch keyword {
	case "$schema", "$defs", "title", "description", "default":
		return nil
	case "$ref":
		return w.check(asObject(asObject(w.root["$defs"])["variable"]), v, at)
	case "type":
		return fail(hasType(arg, v))
	case "enum":
		return fail(slices.Contains(arg.([]any), v))
	case "const":
		return fail(reflect.DeepEqual(arg, v))
	case "minimum":
		return fail(!isNumber || n >= arg.(float64))
	case "maximum":
		return fail(!isNumber || n <= arg.(float64))
	case "exclusiveMinimum":
		return fail(!isNumber || n > arg.(float64))
	case "minLength":
		return fail(!isText || float64(len(s)) >= arg.(float64))
	case "pattern":
		return fail(!isText || regexp.MustCompile(arg.(string)).MatchString(s))
	case "anyOf":
		return fail(slices.ContainsFunc(arg.([]any), func(sub any) bool { return len(w.check(sub.(object), v, at)) == 0 }))
	case "allOf":
		return fail(!slices.ContainsFunc(arg.([]any), func(sub any) bool { return len(w.check(sub.(object), v, at)) > 0 }))
	case "not":
		return fail(len(w.check(arg.(object), v, at)) > 0)
	case "items":
		return w.items(arg.(object), v, at)
	case "properties", "patternProperties", "additionalProperties", "required":
		return w.members(schema, keyword, v, at)
	}
	panic("the test's validator doesn't know " + keyword)
}

func (w validator) items(schema object, v any, at string) (problems []string) {
	list, _ := v.([]any)
	for i, item := range list {
		problems = append(problems, w.check(schema, item, fmt.Sprintf("%s[%d]", at, i))...)
	}
	return problems
}

func (w validator) members(schema object, keyword string, v any, at string) (problems []string) {
	o, ok := v.(object)
	if !ok {
		return nil
	}
	if keyword == "required" {
		for _, key := range schema["required"].([]any) {
			if _, ok := o[key.(string)]; !ok {
				problems = append(problems, at+": lacks "+key.(string))
			}
		}
		return problems
	}
	for key, value := range o {
		sub, known := asObject(schema["properties"])[key]
		for pattern, p := range asObject(schema["patternProperties"]) {
			if regexp.MustCompile(pattern).MatchString(key) {
				sub, known = p, true
			}
		}
		switch {
		case keyword == "additionalProperties" && !known:
			problems = append(problems, at+": unknown "+key)
		case keyword != "additionalProperties" && known:
			problems = append(problems, w.check(sub.(object), value, at+"."+key)...)
		}
	}
	return problems
}

// hasType tells whether v is of a type, or of one of several.
func hasType(types, v any) bool {
	if list, ok := types.([]any); ok {
		return slices.ContainsFunc(list, func(t any) bool { return hasType(t, v) })
	}
	n, isNumber := v.(float64)
	_, isObject := v.(object)
	_, isArray := v.([]any)
	_, isText := v.(string)
	switch types {
	case "object":
		return isObject
	case "array":
		return isArray
	case "string":
		return isText
	case "boolean":
		_, isTruth := v.(bool)
		return isTruth
	case "number":
		return isNumber
	case "integer":
		return isNumber && n == math.Trunc(n)
	case "null":
		return v == nil
	}
	panic(fmt.Sprint("the test's validator doesn't know the type ", types))
}
