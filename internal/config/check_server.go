package config

import (
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// server checks the listeners, and that nobody but this machine reaches one without credentials.
func (k *checker) server() {
	s := k.c.Server
	open := k.listen("server.listen", s.Listen)
	adminOpen := k.listen("server.admin_listen", s.AdminListen)
	if collide(s.Listen, s.AdminListen) {
		k.bad("server.admin_listen", "is the same address as server.listen; give it a port of its own")
	}
	if open && len(k.c.Sources) == 0 && !k.c.NATS.On() { // With NATS on, it may be open for WeChat's callbacks alone.
		k.bad("server.listen", "%q is open to the network, but no source is configured; add one to sources, or listen on 127.0.0.1", s.Listen)
	}
	if adminOpen && len(k.c.Admin.Tokens) == 0 {
		k.bad("server.admin_listen", "%q is open to the network, but no admin token is configured; add one to admin.tokens, or listen on 127.0.0.1", s.AdminListen)
	}
}

// listen checks an address to listen on, and tells whether other machines can reach it.
func (k *checker) listen(key, address string) (open bool) {
	host, port, err := net.SplitHostPort(address)
	n, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || port != strconv.FormatUint(n, 10) || strings.ContainsAny(host, " /@") {
		k.bad(key, "%q is no address to listen on; write host:port, for example 127.0.0.1:8080", address)
		return false
	}
	return !isLoopback(host)
}

// reachable tells whether other machines can reach an address to listen on.
func reachable(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err != nil || !isLoopback(host)
}

// collide tells whether two addresses can't be listened on at once. Port 0 is any free one.
func collide(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return strings.EqualFold(hostA, hostB) || isWildcard(hostA) || isWildcard(hostB)
}

func isWildcard(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	if err == nil {
		return ip.Unmap().IsLoopback()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// nodeName is what a node may be called.
var nodeName = regexp.MustCompile(`^[A-Za-z0-9._-]{0,63}$`)

// store checks where events are kept. Of PostgreSQL only the address is checked.
func (k *checker) store() {
	s := k.c.Store
	_, folder := s.Folder()
	if _, postgres := s.Postgres(); !folder && !postgres {
		k.bad("store.url", "must be file:FOLDER or postgres://user:password@host:5432/database")
	}
	if !nodeName.MatchString(s.Node) {
		k.bad("store.node", "%q must be at most 63 letters, digits and any of . _ -", s.Node)
	}
	if _, err := s.TokenKeys(); err != nil {
		k.bad("store.key_file", "%v", err)
	}
	push := k.c.Push
	if s.Retention > 0 && s.Retention < push.NoTokenWait {
		k.bad("store.retention", "%v is shorter than push.no_token_wait (%v), so an event could be pruned while it still may be pushed; make it longer", s.Retention, push.NoTokenWait)
	}
	if s.Retention > 0 && s.Retention < push.Retry.MaxAge {
		k.bad("store.retention", "%v is shorter than push.retry.max_age (%v), so an event could be pruned while it still may be pushed; make it longer", s.Retention, push.Retry.MaxAge)
	}
}

// Folder is the folder of the embedded engine; ok is false if the store is no folder.
func (s Store) Folder() (folder string, ok bool) {
	folder, ok = strings.CutPrefix(string(s.URL), "file:")
	folder = strings.TrimPrefix(folder, "//")
	return folder, ok && folder != ""
}

// Postgres is the address of a database, with its password; ok is false if the store is none.
func (s Store) Postgres() (address string, ok bool) {
	address = s.URL.Reveal()
	u, err := url.Parse(address)
	return address, err == nil && (u.Scheme == "postgres" || u.Scheme == "postgresql") && u.Host != "" && len(u.Path) > 1
}

// readable checks that a file which the service opens later can be opened now, and tells whether it can.
func (k *checker) readable(key, path string) bool {
	f, err := os.Open(path)
	if err != nil {
		k.bad(key, "%s: %s", path, reason(err))
		return false
	}
	_ = f.Close()
	return true
}
