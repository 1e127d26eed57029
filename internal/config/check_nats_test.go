package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"strings"
	"testing"
)

// certificate makes one with its key, both PEM.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

// natsFiles are in the folder of every configuration below.
func natsFiles(t *testing.T, yaml string) map[string]string {
	cert, key := certificate(t)
	_, other := certificate(t)
	return map[string]string{"c.yaml": yaml, "creds": canary, "seed": canary, "cert": cert, "key": key, "other-key": other}
}

func TestCheckNATS(t *testing.T) {
	const form = "c.yaml:2: nats.url: must be empty, embedded, or nats://host:4222 or tls://host:4222 (several separated by commas)"
	for _, tt := range []struct {
		name, yaml string
		env        []string
		want       []string // All lines of the error, whole.
	}{
		{name: "off", yaml: "nats:\n  url: \"\"\n"},
		{name: "embedded", yaml: "nats:\n  url: embedded\n"},
		{name: "one server", yaml: "nats:\n  url: nats://a\n"},
		{name: "several servers", yaml: "nats:\n  url: nats://a:4222, tls://b:4222/,nats://[::1]:4222\n"},
		{name: "a user in the address", yaml: "nats:\n  url: nats://u:" + canary + "@host:4222,nats://u:" + canary + "@b:4222\n"},
		{name: "a token in the address", yaml: "nats:\n  url: nats://" + canary + "@host:4222\n"},
		{name: "credentials", yaml: "nats:\n  url: nats://a\n  creds_file: creds\n"},
		{name: "nkey", yaml: "nats:\n  url: nats://a\n  nkey_file: seed\n"},
		{name: "user", yaml: "nats:\n  url: nats://a\n  user: u\n  password_file: creds\n"},
		{name: "user by environment", yaml: "nats:\n  url: nats://a\n", env: []string{"CARRIER_NATS_USER=u", "CARRIER_NATS_PASSWORD=" + canary}},
		{name: "TLS", yaml: "nats:\n  url: nats://a\n  tls: {ca_file: cert, cert_file: cert, key_file: key}\n"},
		{name: "replicas", yaml: "nats:\n  url: nats://a\n  replicas: 3\n"},
		{name: "open for callbacks alone", yaml: "nats:\n  url: nats://a\nserver: {listen: \":8080\"}\n"},
		{name: "open embedded, but not in use", yaml: "nats:\n  embedded: {listen: \":4222\"}\n"},

		{name: "http", yaml: "nats:\n  url: http://u:" + canary + "@host\n", want: []string{form}},
		{name: "websocket", yaml: "nats:\n  url: ws://u:" + canary + "@host\n", want: []string{form}},
		{name: "no scheme", yaml: "nats:\n  url: host:4222\n", want: []string{form}},
		{name: "no host", yaml: "nats:\n  url: nats://:4222\n", want: []string{form}},
		{name: "a subject", yaml: "nats:\n  url: nats://host/carrier\n", want: []string{form}},
		{name: "parameters", yaml: "nats:\n  url: nats://host?token=" + canary + "\n", want: []string{form}},
		{name: "an empty place in the list", yaml: "nats:\n  url: nats://a,,nats://b\n", want: []string{form}},
		{name: "embedded among others", yaml: "nats:\n  url: embedded,nats://b\n", want: []string{form}},
		{name: "password with a comma", yaml: "nats:\n  url: nats://u:" + canary + ",x@b\n", want: []string{form}},
		{name: "no such files", yaml: "nats:\n  creds_file: a\n  tls: {ca_file: b, cert_file: c, key_file: d}\n", want: []string{
			"c.yaml:2: nats.creds_file: a: there is no such file; check the path",
			"c.yaml:3: nats.tls.ca_file: b: there is no such file; check the path",
			"c.yaml:3: nats.tls.cert_file: c: there is no such file; check the path",
		}},
		{name: "no such seed", yaml: "nats:\n  nkey_file: a\n", want: []string{"c.yaml:2: nats.nkey_file: a: there is no such file; check the path"}},
		{name: "two identities", yaml: "nats:\n  url: nats://a\n  creds_file: creds\n  nkey_file: seed\n", want: []string{
			"c.yaml:3: nats.creds_file: says who the service is, and so does nats.nkey_file; keep one"}},
		{name: "every identity", yaml: "nats:\n  url: nats://u@a\n  creds_file: creds\n  nkey_file: seed\n  user: u\n  password: " + canary + "\n", want: []string{
			"c.yaml:3: nats.creds_file: says who the service is, and so does nats.nkey_file and nats.user and nats.url; keep one"}},
		{name: "password without user", yaml: "nats:\n  password: " + canary + "\n", want: []string{"c.yaml:1: nats.user: is missing beside password; write the user's name"}},
		{name: "user without password", yaml: "nats:\n  user: u\n", want: []string{"c.yaml:1: nats.password: is missing beside user; give password or password_file"}},
		{name: "certificate without key", yaml: "nats:\n  tls: {cert_file: cert}\n", want: []string{
			"c.yaml:2: nats.tls.key_file: is missing beside cert_file; name the file with its private key"}},
		{name: "key without certificate", yaml: "nats:\n  tls: {key_file: key}\n", want: []string{
			"c.yaml:2: nats.tls.cert_file: is missing beside key_file; name the certificate that the key belongs to"}},
		{name: "another certificate's key", yaml: "nats:\n  tls: {cert_file: cert, key_file: other-key}\n", want: []string{
			"c.yaml:2: nats.tls.cert_file: can't be used with key_file: tls: private key does not match public key"}},
		{name: "no certificate", yaml: "nats:\n  tls: {ca_file: key}\n", want: []string{
			"c.yaml:2: nats.tls.ca_file: key: holds no certificate in PEM; is it the right file?"}},
		{name: "no replicas", yaml: "nats:\n  replicas: 0\n", want: []string{"c.yaml:2: nats.replicas: must be 1 to 5, not 0"}},
		{name: "too many replicas", yaml: "nats:\n  replicas: 6\n", want: []string{"c.yaml:2: nats.replicas: must be 1 to 5, not 6"}},
		{name: "embedded with replicas", yaml: "nats:\n  url: embedded\n  replicas: 3\n", want: []string{
			"c.yaml:3: nats.replicas: 3 copies need as many servers, and the embedded one is alone; set it to 1"}},
		{name: "embedded on a port in use", yaml: "nats:\n  url: embedded\n  embedded: {listen: 127.0.0.1:8080, store_dir: \"\"}\n", want: []string{
			"c.yaml:3: nats.embedded.listen: is an address of server's; give it a port of its own",
			"c.yaml:3: nats.embedded.store_dir: is empty; name a folder for the streams",
		}},
		{name: "embedded in the store", yaml: "nats:\n  url: embedded\n  embedded: {store_dir: ./carrier-data/}\n", want: []string{
			"c.yaml:3: nats.embedded.store_dir: is the folder of store.url; name another one for the streams"}},
		{name: "embedded open to the network", yaml: "nats:\n  url: embedded\n  embedded: {listen: 0.0.0.0:4222}\n", want: []string{
			`c.yaml:3: nats.embedded.listen: "0.0.0.0:4222" is open to the network, but the embedded server asks for no credentials; listen on 127.0.0.1, or run a NATS server of its own`}},
		{name: "embedded nowhere", yaml: "nats:\n  embedded: {listen: x}\n", want: []string{
			`c.yaml:2: nats.embedded.listen: "x" is no address to listen on; write host:port, for example 127.0.0.1:8080`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inFolder(t, natsFiles(t, tt.yaml))
			c, err := Load("c.yaml", tt.env)
			if err != nil {
				t.Fatal(err)
			}
			compareLines(t, c.Check(), tt.want)
		})
	}
}

// TestNamesAreSubjects: what becomes part of NATS subjects can't be two parts of one, nor a wildcard.
func TestNamesAreSubjects(t *testing.T) {
	for _, name := range []string{"S.F", "S*", ">", "S F", "顺丰"} {
		inFolder(t, map[string]string{"c.yaml": "nats: {url: nats://a}\naccounts:\n- {delivery_id: \"" + name + "\", token_mode: none}\n" +
			"sources:\n- {name: \"" + name + "\", api_key: " + canary + "}\n"})
		c, err := Load("c.yaml", nil)
		if err != nil {
			t.Fatal(err)
		}
		got := errorText(c.Check())
		for _, key := range []string{"accounts[0].delivery_id", "sources[0].name"} {
			if !strings.Contains(got, key+": ") {
				t.Errorf("%s may be %q: %s", key, name, got)
			}
		}
	}
}

func TestNATSWarnings(t *testing.T) {
	for _, tt := range []struct {
		name, yaml string
		want       []string // Of those that speak of NATS.
	}{
		{"not in use", "nats: {nkey_file: seed, tls: {ca_file: cert, cert_file: cert, key_file: key}}\n", []string{
			"nats.nkey_file: is not used, because nats.url is empty",
			"nats.tls.ca_file: is not used, because nats.url is empty",
			"nats.tls.cert_file: is not used, because nats.url is empty",
		}},
		{"embedded", "nats: {url: embedded, user: u, password: p}\n", []string{
			"sources: there is none, so events come over NATS only",
			"nats.user: is not used, because the embedded server asks for none",
		}},
		{"a password in the clear", "nats: {url: \"tls://a,nats://b\", user: u, password: p}\n", []string{
			"sources: there is none, so events come over NATS only",
			"nats.url: the password travels unencrypted, unless the server insists on TLS; use tls:// if the network is shared",
		}},
		{"a password under TLS", "nats: {url: \"tls://u:p@a,nats://u:p@127.0.0.1\"}\n", []string{
			"sources: there is none, so events come over NATS only",
		}},
		{"a hook beside it", "nats: {url: embedded}\naccounts:\n- {delivery_id: SF, token_mode: none, callback: {token: abc}, orders: {url: http://dispatch, secret: whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=}}\n", []string{
			"sources: there is none, so events come over NATS only",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inFolder(t, natsFiles(t, tt.yaml))
			c, err := Load("c.yaml", nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Check(); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range c.Warnings() {
				if strings.Contains(strings.ToLower(w), "nats") {
					got = append(got, w)
				}
			}
			if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// TestNATSSecretsReadableByAll: each file that holds a secret is warned of, certificates are not.
func TestNATSSecretsReadableByAll(t *testing.T) {
	inFolder(t, natsFiles(t, "nats: {nkey_file: seed, tls: {ca_file: cert, cert_file: cert, key_file: key}}\n"))
	for _, name := range []string{"seed", "cert", "key"} {
		if err := os.Chmod(name, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load("c.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := "nats.nkey_file: seed: is readable by everyone; chmod 640 it\nnats.tls.key_file: key: is readable by everyone; chmod 640 it\n"
	if got := strings.Join(c.Warnings(), "\n"); !strings.HasPrefix(got, want) {
		t.Errorf("got\n%s\nwant it to begin with\n%s", got, want)
	}
}
