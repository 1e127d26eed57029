package bus

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"carrier/internal/bus/natstest"
)

// works fails unless both a bus and Connect work with o.
func works(t *testing.T, o Options) {
	t.Helper()
	r := start(t, newDesk(t), o)
	r.carries(t, o, 10)
}

// carries fails unless what is published over a connection that Connect makes with o arrives.
func (r *rig) carries(t *testing.T, o Options, messages int) {
	t.Helper()
	nc, err := Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	p := newPublisher(t, nc)
	p.publish(t.Context(), messages)
	r.empty(p.js)
	r.desk.wantAll(p.published(), true)
	r.steady()
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	o := Options{URL: EmbeddedURL, Embedded: Embedded{Listen: "127.0.0.1:0", StoreDir: t.TempDir()}}
	r := start(t, newDesk(t), o)
	o.URL = r.bus.ClientURL()
	r.carries(t, o, 100)
}

func TestNKey(t *testing.T) {
	t.Parallel()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "user.nk")
	if err := os.WriteFile(file, seed, 0o600); err != nil {
		t.Fatal(err)
	}
	s := natstest.Start(t, func(o *server.Options) { o.Nkeys = []*server.NkeyUser{{Nkey: public}} })
	works(t, Options{URL: s.URL(), NKeyFile: file})
}

// TestUser fails if a login does not work, or gets into the log.
func TestUser(t *testing.T) {
	user := func(o *server.Options) { o.Username, o.Password = "ops", "s3cret/w:rd" }
	token := func(o *server.Options) { o.Authorization = "s3cret-token" }
	for _, test := range []struct {
		name   string
		server func(*server.Options)
		login  string // In the address.
		o      Options
	}{
		{"options", user, "", Options{User: "ops", Password: "s3cret/w:rd"}},
		{"in the address", user, "ops:s3cret%2Fw%3Ard@", Options{}},
		{"a token in the address", token, "s3cret-token@", Options{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var lines lineCounter
			test.o.Logger = slog.New(&lines)
			test.o.URL = strings.Replace(natstest.Start(t, test.server).URL(), "//", "//"+test.login, 1)
			works(t, test.o)
			for _, line := range lines.all() {
				if strings.Contains(line, "s3cret") {
					t.Errorf("logged: %s", line)
				}
			}
		})
	}
}

// TestTLS connects to a server that wants a certificate of its clients.
func TestTLS(t *testing.T) {
	t.Parallel()
	files := writeCertificate(t)
	pair, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pem, err := os.ReadFile(files.CAFile)
	if err != nil || !pool.AppendCertsFromPEM(pem) {
		t.Fatal(err)
	}
	s := natstest.Start(t, func(o *server.Options) {
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
		o.TLSTimeout = 5
	})
	works(t, Options{URL: s.URL(), TLS: files})
	_, err = Connect(t.Context(), Options{URL: s.URL()})
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without the CA: %v", err)
	}
}

// writeCertificate writes a certificate that signs itself, for both sides.
func writeCertificate(t *testing.T) TLS {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, bytes []byte) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	cert := write("cert.pem", "CERTIFICATE", der)
	return TLS{CAFile: cert, CertFile: cert, KeyFile: write("key.pem", "PRIVATE KEY", private)}
}

// TestNothingIsBuffered fails if what is published while there is no connection seems to be sent.
func TestNothingIsBuffered(t *testing.T) {
	t.Parallel()
	s := natsServer(t)
	nc, err := Connect(t.Context(), Options{URL: s.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	s.Down()
	until(t, "the connection is lost", func() bool { return !nc.IsConnected() })
	if err := nc.Publish("x", nil); !errors.Is(err, nats.ErrReconnectBufExceeded) {
		t.Errorf("%v", err)
	}
	s.Up()
	until(t, "the connection comes back", nc.IsConnected)
}

func TestRedialDelay(t *testing.T) {
	for n := range 100 {
		d := redialDelay(n + 1)
		if d < firstRedial/2 || d > maxRedial {
			t.Errorf("before round %d it waits %s", n+1, d)
		}
		if n > 10 && d < maxRedial/2 {
			t.Errorf("before round %d it waits only %s", n+1, d)
		}
	}
}

// TestOptionsPrint fails if a secret comes out of a struct that is printed or logged.
func TestOptionsPrint(t *testing.T) {
	o := Options{URL: "nats://u:s3cret@a:4222,tls://s3cret@b", User: "u", Password: "s3cret"}
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("m", "o", o, "p", &o)
	for _, text := range []string{b.String(), fmt.Sprint(o), fmt.Sprintf("%+v %#v", o, o), o.secrets().text(errors.New("no s3cret here"))} {
		if strings.Contains(text, "s3cret") {
			t.Errorf("%s", text)
		}
	}
	if got := o.String(); got != "nats://a:4222,tls://b" {
		t.Errorf("it prints as %s", got)
	}
}

// lineCounter keeps the lines of a log.
type lineCounter struct {
	mu    sync.Mutex
	lines []string
}

func (c *lineCounter) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.lines)
}

func (*lineCounter) Enabled(context.Context, slog.Level) bool { return true }
func (c *lineCounter) WithAttrs([]slog.Attr) slog.Handler     { return c }
func (c *lineCounter) WithGroup(string) slog.Handler          { return c }

func (c *lineCounter) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, line)
	return nil
}

// TestCalm fails if what happens many times a second is logged as often, or is not said to have happened so often.
func TestCalm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines lineCounter
		c := newCalm(slog.New(&lines))
		for range 1000 {
			c.warn("lost")
			c.info("found")
			time.Sleep(100 * time.Millisecond)
		}
		c.info("other")
		want := []string{"lost", "found", "lost times_not_logged=599", "found times_not_logged=599", "other"}
		if strings.Join(lines.lines, "|") != strings.Join(want, "|") {
			t.Errorf("%q, want %q", lines.lines, want)
		}
	})
}

func TestOlderThan(t *testing.T) {
	for version, want := range map[string]bool{
		"2.9.10": true, "2.10.3": true, "2.10.4": false, "2.10.14": false, "2.15.2": false, "3.0.0": false, "2.10.3-beta": true, "": false, "dev": false,
	} {
		if got := olderThan(version, 2, 10, 4); got != want {
			t.Errorf("%q is older than 2.10.4: %v", version, got)
		}
	}
}
