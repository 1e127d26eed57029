package config

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// nats checks the form of NATS's keys, used or not.
func (k *checker) nats() {
	n := k.c.NATS
	if n.IsEmbedded() {
		k.natsEmbedded(n)
	} else if n.On() && !validNATS(n.URL.Reveal()) {
		k.bad("nats.url", "must be empty, embedded, or nats://host:4222 or tls://host:4222 (several separated by commas)")
	}
	if k.listen("nats.embedded.listen", n.Embedded.Listen) && n.IsEmbedded() {
		k.bad("nats.embedded.listen", "%q is open to the network, but the embedded server asks for no credentials; listen on 127.0.0.1, or run a NATS server of its own", n.Embedded.Listen)
	}
	k.natsCredentials(n)
	k.natsTLS(n.TLS)
}

// natsEmbedded checks the server inside this process.
func (k *checker) natsEmbedded(n NATS) {
	if collide(n.Embedded.Listen, k.c.Server.Listen) || collide(n.Embedded.Listen, k.c.Server.AdminListen) {
		k.bad("nats.embedded.listen", "is an address of server's; give it a port of its own")
	}
	switch folder, ok := k.c.Store.Folder(); {
	case n.Embedded.StoreDir == "":
		k.bad("nats.embedded.store_dir", "is empty; name a folder for the streams")
	case ok && filepath.Clean(folder) == filepath.Clean(n.Embedded.StoreDir):
		k.bad("nats.embedded.store_dir", "is the folder of store.url; name another one for the streams")
	}
	if n.Replicas > 1 {
		k.bad("nats.replicas", "%d copies need as many servers, and the embedded one is alone; set it to 1", n.Replicas)
	}
}

// natsCredentials checks that there is at most one way to say who the service is.
func (k *checker) natsCredentials(n NATS) {
	var given []string
	for _, way := range []struct {
		key string
		set bool
	}{
		{"nats.creds_file", n.CredsFile != ""}, {"nats.nkey_file", n.NKeyFile != ""}, {"nats.user", n.User != ""},
		{"nats.url", natsUser(n.URL.Reveal())},
	} {
		if way.set {
			given = append(given, way.key)
		}
	}
	if len(given) > 1 {
		k.bad(given[0], "says who the service is, and so does %s; keep one", strings.Join(given[1:], " and "))
	}
	switch {
	case n.User == "" && n.Password != "":
		k.bad("nats.user", "is missing beside password; write the user's name")
	case n.User != "" && n.Password == "":
		k.bad("nats.password", "is missing beside user; give password or password_file")
	}
	for _, file := range []struct{ key, path string }{{"nats.creds_file", n.CredsFile}, {"nats.nkey_file", n.NKeyFile}} {
		if file.path != "" {
			k.readable(file.key, file.path)
		}
	}
}

// natsTLS checks that the certificates can be used, as far as they can be read.
func (k *checker) natsTLS(t NATSTLS) {
	if t.CAFile != "" {
		if pem, err := os.ReadFile(t.CAFile); err != nil {
			k.bad("nats.tls.ca_file", "%s: %s", t.CAFile, reason(err))
		} else if !x509.NewCertPool().AppendCertsFromPEM(pem) {
			k.bad("nats.tls.ca_file", "%s: holds no certificate in PEM; is it the right file?", t.CAFile)
		}
	}
	switch {
	case t.CertFile == "" && t.KeyFile == "":
	case t.CertFile == "":
		k.bad("nats.tls.cert_file", "is missing beside key_file; name the certificate that the key belongs to")
	case t.KeyFile == "":
		k.bad("nats.tls.key_file", "is missing beside cert_file; name the file with its private key")
	case k.readable("nats.tls.cert_file", t.CertFile) && k.readable("nats.tls.key_file", t.KeyFile):
		if _, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile); err != nil {
			k.bad("nats.tls.cert_file", "can't be used with key_file: %v", err)
		}
	}
}

// natsServers are the single addresses of nats.url.
func natsServers(raw string) []string {
	servers := strings.Split(raw, ",")
	for i := range servers {
		servers[i] = strings.TrimSpace(servers[i])
	}
	return servers
}

func validNATS(raw string) bool {
	for _, server := range natsServers(raw) {
		u, err := url.Parse(server)
		if err != nil || u.Hostname() == "" || u.Scheme != "nats" && u.Scheme != "tls" ||
			strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			return false
		}
	}
	return true
}

// natsUser tells whether an address holds a user or a token.
func natsUser(raw string) bool {
	for _, server := range natsServers(raw) {
		if u, err := url.Parse(server); err == nil && u.User != nil {
			return true
		}
	}
	return false
}
