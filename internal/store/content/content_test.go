package content

import (
	"testing"

	"carrier/internal/state"
)

func event() state.Event {
	return state.Event{
		ID: "1", Source: "app", DeliveryID: "SF", WaybillID: "1", Type: state.PickupDone, Time: 1_800_000_000, Msg: "揽件", Token: "T",
	}
}

func TestOf(t *testing.T) {
	base := event()
	seen := map[Hash]string{Of(nil, &base): "base"}
	for name, change := range map[string]func(*state.Event){
		"delivery": func(e *state.Event) { e.DeliveryID += "x" },
		"waybill":  func(e *state.Event) { e.WaybillID += "x" },
		"moved":    func(e *state.Event) { e.DeliveryID, e.WaybillID = "S", "F1" },
		"type":     func(e *state.Event) { e.Type++ },
		"time":     func(e *state.Event) { e.Time++ },
		"msg":      func(e *state.Event) { e.Msg += "x" },
		"token":    func(e *state.Event) { e.Token += "x" },
		"no token": func(e *state.Event) { e.Msg, e.Token = e.Msg+e.Token, "" },
	} {
		e := event()
		change(&e)
		h := Of(make([]byte, 7), &e)
		if other, ok := seen[h]; ok {
			t.Errorf("%s hashes as %s", name, other)
		}
		seen[h] = name
	}
	e := event()
	e.ID, e.Source, e.Trace = "another", "another", "another"
	if Of(nil, &e) != Of(nil, &base) {
		t.Error("the id or the trace is part of the content")
	}
}

// TestHashesStay pins what stores hold.
func TestHashesStay(t *testing.T) {
	e := event()
	want := Hash{0x3c, 0x95, 0x97, 0x3d, 0xa7, 0x90, 0x04, 0xd9, 0x89, 0x22, 0xb5, 0x2f, 0xfa, 0xa2, 0x6a, 0xc6}
	if got := Of(nil, &e); got != want {
		t.Errorf("Of: %x, want %x", got, want)
	}
	if got, want := Text(nil, e.Msg), uint64(0xff2bcbdd8d2e1107); got != want {
		t.Errorf("Text: %x, want %x", got, want)
	}
}

func TestIsTrace(t *testing.T) {
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for text, want := range map[string]bool{
		trace:                         true,
		"":                            false,
		"01" + trace[2:]:              false,
		trace + "0":                   false,
		trace[:54]:                    false,
		trace[:10] + "A" + trace[11:]: false,
		trace[:10] + "g" + trace[11:]: false,
		trace[:10] + "-" + trace[11:]: false,
		trace[:35] + "0" + trace[36:]: false,
		trace[:52] + "0" + trace[53:]: false,
	} {
		if got := IsTrace(text); got != want {
			t.Errorf("IsTrace(%q) = %v", text, got)
		}
	}
}
