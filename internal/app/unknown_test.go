package app_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carrier/internal/app"
	"carrier/internal/app/apptest"
	"carrier/internal/config"
	"carrier/internal/sandbox"
)

// TestUnknownWaybillsAndTokensAtRest has the settings of a courier most of whose parcels are not WeChat's: a scan without
// a Token is discarded at once, a Token brings it back, in order, and no Token stands in the store's files.
func TestUnknownWaybillsAndTokensAtRest(t *testing.T) {
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: up.URL})
	settings.Push = `{unknown_waybills: discard}`
	settings.KeyFile = filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(settings.KeyFile, []byte("# the newest\n"+strings.Repeat("5a", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, settings)
	first, second := scan("W1", 1, 100001), scan("W1", 2, 200001)
	const token = "TOKEN-r8Wq2Zk7Xn5Vb3Lm"
	first.Token, second.Token = "", token
	seq := s.Accept(t, first)[0]
	if p := s.GetPush(t, seq); p.Status != "discarded" || p.Reason != "unknown_waybill" {
		t.Errorf("without a Token: %+v", p)
	}
	seqs := []uint64{seq, s.Accept(t, second)[0]}
	apptest.Eventually(t, soon, func() bool {
		return s.GetPush(t, seqs[0]).Status == "delivered" && s.GetPush(t, seqs[1]).Status == "delivered"
	}, apptest.Text("both are delivered"))
	s.stop()
	if strings.Contains(everything(t, settings.Store), token) {
		t.Error("the Token stands in the store's files")
	}
	if strings.Contains(s.log.Tail(1000), "5a5a5a") {
		t.Error("the key is in the log")
	}
}

// TestKeyFileIsRefused: a file that has become unreadable since the configuration was checked is named, and its content
// is not.
func TestKeyFileIsRefused(t *testing.T) {
	settings := apptest.NewSettings(t)
	settings.KeyFile = filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(settings.KeyFile, []byte(strings.Repeat("5a", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(settings.File(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(settings.KeyFile, []byte(strings.Repeat("5a", 31)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = app.New(t.Context(), app.Options{Config: cfg, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Version: "test"})
	if err == nil || !strings.Contains(err.Error(), "store.key_file: "+settings.KeyFile+": line 1") || strings.Contains(err.Error(), "5a5a") {
		t.Errorf("the error is %v", err)
	}
}
