package browsertest

import (
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"carrier/internal/state"
	"carrier/internal/store/pebble"
)

// fallSilent makes a store in which the last scans of these waybills came days ago. They are pushed once a service has
// the store.
func fallSilent(t *testing.T, folder string, waybills ...string) {
	t.Helper()
	at := time.Now().Add(-5 * 24 * time.Hour)
	s, err := pebble.Open(folder, pebble.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range waybills {
		for _, e := range story(w, 100001, 200001) {
			event := state.Event{
				ID: e.ID, Source: "scanner", DeliveryID: e.DeliveryID, WaybillID: w, Type: state.ActionType(e.ActionType),
				Time: at.Unix(), Msg: e.ActionMsg, Token: e.Token,
			}
			if got, err := s.Apply(t.Context(), []state.Event{event}); err != nil || got[0].Verdict != state.Accepted {
				t.Fatalf("%s: %+v, %v", e.ID, got, err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestSilentPage: what stands still is found, with its stage, its last scan and the way to it.
func TestSilentPage(t *testing.T) {
	t.Parallel()
	s := startScene(t)
	b := openTab(t, s.Admin)
	b.logIn(s.Operator)
	b.open("/silent")
	b.says("SF1407020300004", "SF1407020300006", "in transit", "5 d", "200001 in transit")
	if strings.Contains(b.text(), s.delivered) {
		t.Error("a waybill that is delivered is listed")
	}
	b.open("/silent?stage=picked_up")
	if strings.Contains(b.text(), "SF1407020300004") {
		t.Error("a waybill in transit is listed among those picked up")
	}
	b.open("/silent")
	b.follow("going to a silent waybill", clickHidden("a[href='/waybills/SF/SF1407020300004']"))
	b.says("Waybill SF1407020300004")
	b.well("silent")
}
