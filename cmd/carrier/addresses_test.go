package main

import (
	"fmt"
	"strings"
	"testing"
)

// strangeAddresses lead to no upstream: to a cloud's credentials, to files, to other protocols, or to who knows where.
var strangeAddresses = []string{
	// Where clouds hand out credentials, however it is written.
	"http://169.254.169.254", "https://169.254.169.254/latest/meta-data", "http://169.254.169.254:80", "http://169.254.0.1",
	"http://2852039166", "http://0xa9fea9fe", "http://0xa9.0xfe.0xa9.0xfe", "http://0251.0376.0251.0376", "http://169.254.43518",
	"http://169.16689662", "http://[::ffff:169.254.169.254]", "http://[::ffff:a9fe:a9fe]", "http://[fe80::1]", "http://[fe80::1%25eth0]",
	"http://[fd00:ec2::254]", "http://100.100.100.200", "http://metadata.google.internal", "http://metadata.google.internal.",
	"http://METADATA.google.internal", "http://metadata.tencentyun.com", "https://metadata.tencentyun.com/x",
	// Nowhere, or everywhere.
	"http://0.0.0.0", "http://0", "http://[::]", "http://224.0.0.1", "http://[ff02::1]",
	// Other protocols.
	"file:///etc/passwd", "file://localhost/etc/passwd", "FILE:///etc/passwd", "gopher://127.0.0.1:6379/_FLUSHALL", "ftp://127.0.0.1",
	"dict://127.0.0.1:11211", "ldap://127.0.0.1", "jar:http://127.0.0.1!/", "unix:///var/run/docker.sock", "data:text/plain,x",
	"javascript:alert(1)", "ws://127.0.0.1", "tcp://127.0.0.1:80", "//127.0.0.1", "127.0.0.1:80", "/etc/passwd",
	// Who is asked, and what for, must be plain.
	"https://api.weixin.qq.com@169.254.169.254", "https://user:pass@api.weixin.qq.com", "https://api.weixin.qq.com?next=//evil.example",
	"https://api.weixin.qq.com#@evil.example", "https://", "http://:80", "https://api.weixin.qq.com:port", "https://api weixin.qq.com",
	"https://api.weixin.qq.com:99999", "http://[::1", "http://api.weixin.qq.com",
}

// TestConfigCheckRefusesStrangeAddresses gives an account each of them as its base_url. What a redirect or a name leads to
// later is refused when it is met (TestBrokenUpstreamUnderLoad, TestNotSent).
func TestConfigCheckRefusesStrangeAddresses(t *testing.T) {
	var b strings.Builder
	b.WriteString("accounts:\n")
	for i, address := range strangeAddresses {
		fmt.Fprintf(&b, "  - {delivery_id: A%d, appid: wx%d, secret: s%d, base_url: %q}\n", i, i, i, address)
	}
	file := fileOf(t, "carrier.yaml", b.String())
	status, _, errs := command(t, nil, "", "config", "check", "-c", file)
	if status != 2 {
		t.Fatalf("config check ends with status %d: %s", status, errs)
	}
	for i, address := range strangeAddresses {
		if !strings.Contains(errs, fmt.Sprintf("accounts[%d].base_url: ", i)) {
			t.Errorf("config check has nothing to say about %q", address)
		}
	}
}
