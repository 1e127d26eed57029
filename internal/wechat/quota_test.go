package wechat

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestReadQuota: what upstream leaves out is not taken for 0, lest all pushes wait for a quota that is there.
func TestReadQuota(t *testing.T) {
	for _, test := range []struct {
		name, quota string
		want        DayQuota
		err         string
	}{
		{"whole", `{"daily_limit":1000,"used":7,"remain":993}`, DayQuota{1000, 7, 993}, ""},
		{"as strings", `{"daily_limit":"1000","used":"7","remain":"993"}`, DayQuota{1000, 7, 993}, ""},
		{"without remain", `{"daily_limit":1000,"used":7}`, DayQuota{1000, 7, 993}, ""},
		{"remain null", `{"daily_limit":1000,"used":7,"remain":null}`, DayQuota{1000, 7, 993}, ""},
		{"more used than there is", `{"daily_limit":1000,"used":1007}`, DayQuota{1000, 1007, 0}, ""},
		{"without used", `{"daily_limit":1000,"remain":993}`, DayQuota{1000, 7, 993}, ""},
		{"used up", `{"daily_limit":1000,"used":1000,"remain":0}`, DayQuota{1000, 1000, 0}, ""},
		{"a limit alone", `{"daily_limit":1000}`, DayQuota{}, "used is no number that is there, nor is remain"},
		{"nothing", `{}`, DayQuota{}, ""},
		{"null", `null`, DayQuota{}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var q Quota
			err := json.Unmarshal([]byte(`{"quota":`+test.quota+`}`), &q)
			if (err != nil) != (test.err != "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Fatalf("error %v, want %q", err, test.err)
			}
			if err == nil && q.Day != test.want {
				t.Errorf("got %+v, want %+v", q.Day, test.want)
			}
		})
	}
}
