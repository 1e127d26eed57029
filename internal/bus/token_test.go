package bus

import (
	"encoding/json"
	"strings"
	"testing"

	"carrier/internal/problem"
	"carrier/internal/state"
)

// FuzzToken: whatever a stranger sends, it is a waybill and a Token that can be kept, or a problem that repeats nothing of
// the Token.
func FuzzToken(f *testing.F) {
	for _, body := range []string{
		`{"waybill_id":"W1","token":"` + secretToken + `"}`, `{"token":"T","token":"` + secretToken + `"}`, `{"` + secretToken + `":1}`,
		`[]`, `null`, ``, ` {"waybill_id":"运单","token":"\ud800"}`, `{"waybill_id":{"token":"x"},"token":["` + secretToken + `"]}`, `{"token"`,
	} {
		f.Add([]byte(body))
	}
	s := &service{o: &Options{Configured: isAccount}}
	f.Fuzz(func(t *testing.T, body []byte) {
		w := tokenWanted{q: &request{name: "SF", body: body}}
		if p := s.readToken(&w); p != nil {
			for _, l := range []problem.Language{problem.English, problem.Chinese} {
				if text := string(p.JSON(l)); !json.Valid([]byte(text)) || strings.Contains(text, secretToken) || len(text) > 16<<10 {
					t.Errorf("%q is answered with %s", body, text)
				}
			}
			return
		}
		if w.waybill.DeliveryID != "SF" || !state.IsWaybillID(w.waybill.WaybillID) || w.token == "" || len(w.token) > state.MaxTokenBytes {
			t.Errorf("%q is the Token %q of %s", body, w.token, w.waybill)
		}
		var again struct {
			WaybillID string `json:"waybill_id"`
			Token     string `json:"token"`
		}
		if err := json.Unmarshal(body, &again); err != nil || again.WaybillID != w.waybill.WaybillID || again.Token != w.token {
			t.Errorf("%q was read as %q of %s, encoding/json: %+v, %v", body, w.token, w.waybill, again, err)
		}
	})
}
