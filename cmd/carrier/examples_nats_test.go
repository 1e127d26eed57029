package main

import (
	"bufio"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"carrier/internal/app/apptest"
	"carrier/internal/bus/natstest"
)

// TestExampleHears runs the example that hears outcomes, kills it, and runs it again: it is told of what came meanwhile.
func TestExampleHears(t *testing.T) {
	present(t, []string{"go"}, nil, 0)
	binary := filepath.Join(t.TempDir(), "hear")
	if out, err := exec.Command("go", "build", "-o", binary, "carrier/api/examples/go/hear").CombinedOutput(); err != nil {
		t.Fatalf("building the example: %v\n%s", err, out)
	}
	server := natstest.Start(t, nil)
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: "http://127.0.0.1:9"})
	settings.NATS = fmt.Sprintf("{url: %q}", server.URL())
	_, service := serveCarrier(t, settings, settings.File(t))
	untilStream(t, server, "CARRIER_OUTCOMES")
	told := map[string]bool{}
	for n := range 2 {
		waybill := fmt.Sprint("W-", n)
		for i, action := range []int{100001, 100002} { // What was picked up can't fail to be.
			service.Send(t, apptest.Event{
				ID: fmt.Sprint(waybill, "-", i), DeliveryID: "SF", WaybillID: waybill, ActionType: action,
				ActionTime: int64(1_790_000_000 + i), ActionMsg: "text",
			})
		}
		cmd := exec.CommandContext(t.Context(), binary, server.URL(), "dispatch", "SF")
		var complaint strings.Builder
		cmd.Stderr = &complaint
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("rejected %s %s-1 0 illegal_transition", waybill, waybill)
		for lines := bufio.NewScanner(out); ; {
			if !lines.Scan() {
				t.Fatalf("it ends without %q: %v; %v, and it says %q", want, lines.Err(), cmd.Wait(), complaint.String())
			}
			_, said, _ := strings.Cut(lines.Text(), " ") // The number before it is the service's.
			if said == want {
				break
			}
			if !told[said] { // What it could not acknowledge before it was killed comes again.
				t.Errorf("it says %q, want %q", said, want)
			}
		}
		told[want] = true
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // It was killed.
	}
}

// untilStream waits until the service has made a stream: it does so beside its start.
func untilStream(t *testing.T, server *natstest.Server, name string) {
	t.Helper()
	js, err := jetstream.New(server.Connect())
	if err != nil {
		t.Fatal(err)
	}
	apptest.Eventually(t, later, func() bool {
		_, err = js.Stream(t.Context(), name)
		return err == nil
	}, func() string { return fmt.Sprintf("there is the stream %s: %v", name, err) })
}
