package wechat

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// selfSigned signs a certificate with its own key.
func selfSigned(t *testing.T, c *x509.Certificate) tls.Certificate {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	c.SerialNumber, c.IsCA, c.BasicConstraintsValid = big.NewInt(1), true, true
	der := must(x509.CreateCertificate(rand.Reader, c, c, key.Public(), key))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestTLS(t *testing.T) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(okAnswer) })
	start := func(t *testing.T, maxVersion uint16) *httptest.Server {
		s := httptest.NewUnstartedServer(ok)
		s.EnableHTTP2 = true
		s.TLS = &tls.Config{MaxVersion: maxVersion}
		s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
		s.StartTLS()
		t.Cleanup(s.Close)
		return s
	}
	push := func(t *testing.T, s *httptest.Server, trusted bool) (*http.Transport, error) {
		transport := newTransport(2, 5*time.Second)
		t.Cleanup(transport.CloseIdleConnections)
		if trusted {
			transport.TLSClientConfig.RootCAs = x509.NewCertPool()
			transport.TLSClientConfig.RootCAs.AddCert(s.Certificate())
		}
		_, err := NewClient(ClientOptions{BaseURL: s.URL, Transport: transport}).UpdatePath(t.Context(), canaryAccess, PathUpdate{Token: canaryToken})
		return transport, err
	}
	t.Run("1.3", func(t *testing.T) {
		if _, err := push(t, start(t, tls.VersionTLS13), true); err != nil {
			t.Error(err)
		}
	})
	t.Run("1.2", func(t *testing.T) {
		if _, err := push(t, start(t, tls.VersionTLS12), true); err != nil {
			t.Error(err)
		}
	})
	for name, c := range map[string]x509.Certificate{
		"expired":          {NotAfter: time.Now().Add(-time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}},
		"of tomorrow":      {NotBefore: time.Now().Add(time.Hour), NotAfter: time.Now().Add(2 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}},
		"of somebody else": {NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"api.example"}},
	} {
		t.Run("certificate "+name, func(t *testing.T) {
			s := httptest.NewUnstartedServer(ok)
			s.TLS = &tls.Config{Certificates: []tls.Certificate{selfSigned(t, &c)}}
			s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
			s.StartTLS()
			defer s.Close()
			_, err := push(t, s, true)
			if e := wantCallError(t, err, "updatePath"); e.Kind != KindNetwork || e.Sent {
				t.Errorf("%+v, want network, not sent", e)
			}
		})
	}
	for name, tt := range map[string]struct {
		version uint16
		trusted bool
	}{"1.1": {tls.VersionTLS11, true}, "unknown certificate": {tls.VersionTLS13, false}} {
		t.Run(name, func(t *testing.T) {
			_, err := push(t, start(t, tt.version), tt.trusted)
			if e := wantCallError(t, err, "updatePath"); e.Kind != KindNetwork || e.Sent {
				t.Errorf("%+v, want network, not sent", e)
			}
		})
	}
}
