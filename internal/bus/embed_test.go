package bus

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// embeddedOptions are those of a server in a folder, on a free port.
func embeddedOptions(dir string) *Options {
	o := &Options{URL: EmbeddedURL, Embedded: Embedded{Listen: "127.0.0.1:0", StoreDir: dir}}
	o.setDefaults()
	return o
}

func startHere(t *testing.T, dir string) *embedded {
	t.Helper()
	e, err := startEmbedded(t.Context(), embeddedOptions(dir))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func stopHere(t *testing.T, e *embedded) {
	t.Helper()
	if err := e.close(); err != nil {
		t.Error(err)
	}
}

// publishHere makes a stream and publishes a message to it, from inside.
func publishHere(t *testing.T, e *embedded) {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(e.server))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js := streams(t, nc)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "s.1", []byte("one")); err != nil {
		t.Fatal(err)
	}
}

func streams(t testing.TB, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// TestEmbeddedKeeps fails if a server that comes back has lost what it acknowledged, or can't be reached over TCP.
func TestEmbeddedKeeps(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "nats")
	e := startHere(t, dir)
	publishHere(t, e)
	stopHere(t, e)

	e = startHere(t, dir)
	defer stopHere(t, e)
	nc, err := nats.Connect(e.url())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	stream, err := streams(t, nc).Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	if got := stream.CachedInfo().State.Msgs; got != 1 {
		t.Errorf("%d messages were kept, want 1", got)
	}
	if jsz, err := e.server.Jsz(nil); err != nil || !jsz.Config.SyncAlways {
		t.Errorf("writes are not synced before they are acknowledged: %+v, %v", jsz.Config, err)
	}
}

func TestEmbeddedRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	inUse := t.TempDir()
	defer stopHere(t, startHere(t, inUse))
	inFile := t.TempDir()
	if err := os.WriteFile(filepath.Join(inFile, "jetstream"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	damaged := t.TempDir()
	e := startHere(t, damaged)
	publishHere(t, e)
	stopHere(t, e)
	if err := os.WriteFile(filepath.Join(damaged, "jetstream", "$G", "streams", "S", "meta.inf"), []byte("no"), 0o600); err != nil {
		t.Fatal(err)
	}

	for _, test := range []struct {
		name, listen, dir string
		want              []string
	}{
		{"a port that is taken", taken.Addr().String(), t.TempDir(), []string{"nats.embedded.listen", "address already in use", "choose another"}},
		{"all interfaces", "0.0.0.0:0", t.TempDir(), []string{"nats.embedded.listen", "0.0.0.0", "loopback"}},
		{"another host", "example.com:4222", t.TempDir(), []string{"nats.embedded.listen", "loopback"}},
		{"no port", "127.0.0.1", t.TempDir(), []string{"nats.embedded.listen", "HOST:PORT"}},
		{"no folder", "127.0.0.1:0", "", []string{"nats.embedded.store_dir", "empty"}},
		{"a folder that is a file", "127.0.0.1:0", file, []string{"nats.embedded.store_dir", "not a directory"}},
		{"a folder in use", "127.0.0.1:0", inUse, []string{"nats.embedded.store_dir", "another process uses"}},
		{"a folder where streams can't be", "127.0.0.1:0", inFile, []string{"embedded NATS server", "not a directory"}},
		{"a stream that can't be read", "127.0.0.1:0", damaged, []string{"nats.embedded.store_dir", filepath.Join("streams", "S"), "restore"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := embeddedOptions(test.dir)
			o.Embedded.Listen = test.listen
			began := time.Now()
			e, err := startEmbedded(t.Context(), o)
			if err == nil {
				stopHere(t, e)
				t.Fatal("it started")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %s to say so", took)
			}
		})
	}
}
