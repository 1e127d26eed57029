package wechat

import (
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Canaries: if one of them shows in an error, an answer or a log, something leaks.
const (
	canaryAccess = "CANARY-access_token-57_xYz+/=&Q"
	canaryToken  = "CANARY-waybill-Token-<&>\"9"
	canarySecret = "CANARY-AppSecret-0a1b2c3d+/="
)

// clean fails the test if text holds part of a canary.
func clean(t *testing.T, where, text string) {
	t.Helper()
	if strings.Contains(text, "CANARY") {
		t.Errorf("%s shows a secret: %s", where, text)
	}
}
