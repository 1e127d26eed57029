package console

import (
	"testing"
	"time"

	"carrier/internal/admin"
	"carrier/internal/store"
)

func TestDeadLettersPage(t *testing.T) {
	f := &fakeAdmin{letters: []admin.DeadLetterItem{
		{ID: "9", ReceivedAt: time.Now(), Source: "app", Subject: "carrier.events.app", Code: "malformed_json", Reason: "no JSON", Body: new("<script>{")},
		{ID: "8", ReceivedAt: time.Now(), BodyBase64: "/w=="}, {ID: "7", ReceivedAt: time.Now()},
	}}
	b := open(t, f).as(opsToken)
	b.get("/dead-letters", Viewer, b.console.DeadLetters).
		says(200, "malformed_json", "<script>{", "as base64: /w==", "operators see its bytes").lacks("<script>{")
	f.letters = nil
	b.get("/dead-letters", Viewer, b.console.DeadLetters).says(200, "No dead letters")
}

func TestDifferencesPage(t *testing.T) {
	f := &fakeAdmin{differences: []admin.DifferenceItem{{DeliveryID: "SF", WaybillID: "A/B 1", Missing: []uint64{1, 2}, Extra: 3, Merchant: "shop"}}}
	b := open(t, f).as(opsToken)
	b.get("/differences", Viewer, b.console.Differences).says(200, "SF A/B 1", "2 0 0 3").has(`href="/waybills/SF/A%2FB%201"`)
	f.differences = nil
	b.get("/differences", Viewer, b.console.Differences).says(200, "None: what was checked shows")
}

func TestAuditPage(t *testing.T) {
	f := &fakeAdmin{audit: []admin.AuditItem{{
		ID: "3", At: time.Now(), By: "li", From: "192.0.2.1", Action: store.ActFreeze, DeliveryID: "SF", WaybillID: "W1", Seq: 12, Replay: "4", Reason: `"'><img src=x>`, Detail: `{"rate":5}`,
	}}, next: "AAAA"}
	b := open(t, f).as(deskToken)
	b.get("/audit?by=li&action=waybill.freeze&since=&until=", Viewer, b.console.Audit).
		says(200, "waybill.freeze", "SF W1", "event 12", "replay 4", `"'><img src=x>`, `{"rate":5}`, "Next page").
		has(`value="li"`, `<option value="waybill.freeze" selected>waybill frozen</option>`, `href="/waybills/SF/W1"`, `action=waybill.freeze&amp;by=li&amp;cursor=AAAA`).lacks("<img")
	if f.audited.By != "li" || f.audited.Action != store.ActFreeze {
		t.Errorf("asked for %+v", f.audited)
	}
	b.get("/audit?action=nonsense", Viewer, b.console.Audit).says(400, "action must be given once")
	f.audit, f.next = nil, ""
	b.get("/audit", Viewer, b.console.Audit).says(200, "Nobody has done anything")
}
