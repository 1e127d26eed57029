package browsertest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"carrier/internal/app"
	"carrier/internal/app/apptest"
	"carrier/internal/config"
	"carrier/internal/sandbox"
)

// service is the whole product in this process, and the simulated upstream that it pushes to.
type service struct {
	*apptest.Client
	up *apptest.Upstream
}

// settled are settings of a service with the account SF at an upstream that knows every waybill.
func settled(t *testing.T) (*apptest.Settings, *apptest.Upstream) {
	t.Helper()
	up := apptest.NewUpstream(t, sandbox.Options{Open: true})
	return apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: up.URL}), up
}

// startPlain starts a service with one account and nothing in it.
func startPlain(t *testing.T) *service {
	t.Helper()
	browser(t) // No service for nothing where there is none.
	settings, up := settled(t)
	return &service{start(t, settings), up}
}

// start runs a service until the end of the test.
func start(t *testing.T, settings *apptest.Settings) *apptest.Client {
	t.Helper()
	cfg, err := config.Load(settings.File(t), nil)
	if err == nil {
		err = cfg.Check()
	}
	if err != nil {
		t.Fatalf("the configuration: %v", err)
	}
	a, err := app.New(t.Context(), app.Options{Config: cfg, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Version: "test"})
	if err != nil {
		t.Fatalf("starting the service: %v", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	client := settings.Client(t, a.Addr(), a.AdminAddr())
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		client.HTTP.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the service ended with an error: %v", err)
		}
	})
	return client
}

// firstScan is when the first scan of a story was made: today, so that nothing is silent that is not meant to be.
var firstScan = time.Now().Add(-2 * time.Hour).Unix()

// story are scans of a waybill of SF's, a minute apart.
func story(waybill string, actions ...int) []apptest.Event {
	words := map[int]string{
		100001: "快递员已成功取件", 100002: "取件失败：联系不上寄件人", 100003: "已分配快递员，即将上门取件", 200001: "快件已到达【广州海珠集散中心】",
		300002: "丽影邓丽君【18666666666】正在派件", 300003: "快件已签收，签收人：本人", 300004: "派送失败：收件人要求改期", 400001: "订单已取消", 400002: "派送异常",
	}
	events := make([]apptest.Event, len(actions))
	for i, action := range actions {
		events[i] = apptest.Event{
			ID: fmt.Sprintf("%s-%d", waybill, i+1), DeliveryID: "SF", WaybillID: waybill, ActionType: action,
			ActionTime: firstScan + int64(i)*60, ActionMsg: words[action], Token: "token-" + waybill,
		}
	}
	return events
}

// of gives scans to another account.
func of(account string, events []apptest.Event) []apptest.Event {
	for i := range events {
		events[i].DeliveryID = account
	}
	return events
}

// verdicts sends events that need not be accepted, and returns their numbers.
func (s *service) verdicts(t *testing.T, want string, events ...apptest.Event) []uint64 {
	t.Helper()
	seqs := make([]uint64, len(events))
	for i, e := range events {
		answer := s.Send(t, e)
		if answer.Verdict != want {
			t.Fatalf("event %s: verdict %q, want %q: %s", e.ID, answer.Verdict, want, answer.Body)
		}
		seqs[i] = answer.Seq
	}
	return seqs
}

// fails lets upstream refuse every push of these waybills for good.
func (s *service) fails(t *testing.T, waybills ...string) {
	t.Helper()
	faults := sandbox.Faults{Waybills: map[string]sandbox.WaybillFault{}}
	for _, w := range waybills {
		faults.Waybills[w] = sandbox.WaybillFault{Errcode: 40097}
	}
	s.up.Faulty(t, faults)
}

// failed waits until so many pushes have failed.
func (s *service) failed(t *testing.T, count int) {
	t.Helper()
	apptest.Eventually(t, soon, func() bool { return len(s.Pushes(t, "status=failed")) == count },
		func() string {
			return fmt.Sprintf("%d failed pushes; there are %+v", count, s.Pushes(t, "status=failed"))
		})
}
