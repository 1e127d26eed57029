package wechat

import (
	"maps"
	"slices"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// The table as the product promises it, scope by scope.
var promised = map[Scope][]int{
	ScopeOK:         {0},
	ScopeUpstream:   {-1},
	ScopeCredential: {40001, 40014, 42001, 41001},
	ScopeAccount:    {40013, 40125, 40164, 40243, 48001, 48004, 50002, 61024, 89503, 89506, 89507},
	ScopeRate:       {45011, 45009},
	ScopeWaybill:    {9300507, 40199},
	ScopeEvent:      {40097, 47001, 44002, 9300526},
}

func TestScopeOf(t *testing.T) {
	var all []int
	for scope, codes := range promised {
		for _, code := range codes {
			if got := ScopeOf(code); got != scope {
				t.Errorf("ScopeOf(%d) = %q, want %q", code, got, scope)
			}
		}
		all = append(all, codes...)
	}
	slices.Sort(all)
	if got := Errcodes(); !slices.Equal(got, all) {
		t.Errorf("Errcodes() = %v, want %v", got, all)
	}
}

func TestScopeOfUnknown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		code := rapid.Int().Draw(t, "code")
		if slices.Contains(Errcodes(), code) {
			t.Skip()
		}
		want := ScopeEvent
		if code < 0 {
			want = ScopeUpstream
		}
		if got := ScopeOf(code); got != want {
			t.Errorf("ScopeOf(%d) = %q, want %q", code, got, want)
		}
	})
}

func TestFetchScopeOf(t *testing.T) {
	tests := []struct {
		name string
		code int
		want Scope
	}{
		{"busy", -1, ScopeUpstream},
		{"another negative code", -2, ScopeUpstream},
		{"minute", 45011, ScopeRate},
		{"day", 45009, ScopeRate},
		{"wrong secret", 40001, ScopeAccount},
		{"wrong secret, the other code", 40125, ScopeAccount},
		{"IP address", 40164, ScopeAccount},
		{"frozen, of fetches only", 50007, ScopeAccount},
		{"not documented", 12345, ScopeAccount},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := fetchScopeOf(tt.code); got != tt.want {
				t.Errorf("fetchScopeOf(%d) = %q, want %q", tt.code, got, tt.want)
			}
		})
	}
}

func TestMeaning(t *testing.T) {
	codes := Errcodes()
	codes = slices.AppendSeq(codes, maps.Keys(fetchErrcodeByCode))
	codes = slices.AppendSeq(codes, maps.Keys(readErrcodeByCode))
	for _, code := range codes {
		en, zh := Meaning(code, false), Meaning(code, true)
		if en == "" || zh == "" {
			t.Errorf("Meaning(%d): en %q, zh %q, want both", code, en, zh)
			continue
		}
		if last, _ := utf8.DecodeLastRuneInString(en); last != '.' {
			t.Errorf("Meaning(%d, en) is no sentence: %q", code, en)
		}
		if last, _ := utf8.DecodeLastRuneInString(zh); last != '。' {
			t.Errorf("Meaning(%d, zh) is no sentence: %q", code, zh)
		}
		if !containsHan(zh) {
			t.Errorf("Meaning(%d, zh) is not Chinese: %q", code, zh)
		}
	}
	if got := Meaning(12345, false) + Meaning(12345, true); got != "" {
		t.Errorf("Meaning of an unknown code = %q, want none", got)
	}
}

func containsHan(s string) bool {
	for _, r := range s {
		if unicode.Is(unicode.Han, r) {
			return true
		}
	}
	return false
}

// Each table has a code once: a second row would be shadowed in silence.
func TestErrcodeTablesHaveNoTwins(t *testing.T) {
	if got, want := len(errcodeByCode), len(errcodes); got != want {
		t.Errorf("%d codes in %d rows", got, want)
	}
	if got, want := len(fetchErrcodeByCode), len(fetchErrcodes); got != want {
		t.Errorf("%d codes of fetches in %d rows", got, want)
	}
	if got, want := len(readErrcodeByCode), len(readErrcodes); got != want {
		t.Errorf("%d codes of reads in %d rows", got, want)
	}
	for _, info := range readErrcodes {
		if ScopeOf(info.code) != info.scope {
			t.Errorf("%d is of scope %s, and said to be of %s", info.code, ScopeOf(info.code), info.scope)
		}
	}
	for _, info := range fetchErrcodes {
		if info.scope != ScopeAccount || fetchScopeOf(info.code) != ScopeAccount {
			t.Errorf("%d is not of the account's scope", info.code)
		}
	}
}
