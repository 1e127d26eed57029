package config

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// metadataHosts are addresses at which clouds hand out credentials to whoever asks from inside, beside the
// link-local ones. (Amazon over IPv6; Alibaba Cloud; Google and Tencent Cloud by name)
var metadataHosts = []string{"fd00:ec2::254", "100.100.100.200", "metadata.google.internal", "metadata.tencentyun.com", "metadata"}

// lastLabelNumeric finds hosts that resolvers read as IPv4 in an unusual form, such as 2852039166 or 0xa9.254.
// (WHATWG URL, "ends in a number")
var lastLabelNumeric = regexp.MustCompile(`(^|\.)([0-9]+|0[xX][0-9A-Fa-f]*)\.?$`)

// baseURL checks where requests with credentials are sent.
func (k *checker) baseURL(key, raw, mode string) {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		k.bad(key, "is empty; write %s, or remove the key", DefaultBaseURL)
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		k.bad(key, "must be http:// or https:// and a host, for example %s", DefaultBaseURL)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(raw, "#"):
		k.bad(key, "must be a plain address, without user, query or fragment; remove those") // Which may be secret.
	case !isPort(u.Port()):
		k.bad(key, "the port must be 1 to 65535, not %s", u.Port())
	case isMetadata(u.Hostname()):
		k.bad(key, "%q is a link-local or metadata address, from which a cloud hands out credentials; use another host", u.Host)
	case u.Scheme == "http" && mode != TokenNone && !isPrivate(u.Hostname()):
		k.bad(key, "sends credentials over http to %q, which is no private host; use https", u.Host)
	}
}

// isPort tells whether a URL's port can be one; none is the scheme's own.
func isPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}

// isMetadata tells hosts that no request may be sent to.
func isMetadata(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return lastLabelNumeric.MatchString(host) || slices.Contains(metadataHosts, host)
	}
	ip = ip.Unmap().WithZone("")
	return ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast() || ip.IsMulticast() || ip.IsUnspecified() ||
		slices.Contains(metadataHosts, ip.String())
}

// privateSuffixes end the names of hosts inside a network. (RFC 6761, RFC 6762, RFC 8375, ICANN's .internal; the
// rest by custom) A name without a dot is one too: containers of one network call each other so.
var privateSuffixes = []string{".localhost", ".local", ".internal", ".home.arpa", ".lan", ".svc"}

// isPrivate tells hosts whose traffic stays on this machine or in its network, by their names alone.
func isPrivate(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.Unmap()
		return ip.IsLoopback() || ip.IsPrivate()
	}
	return !strings.Contains(host, ".") ||
		slices.ContainsFunc(privateSuffixes, func(suffix string) bool { return strings.HasSuffix(host, suffix) })
}

// isWeChat tells WeChat's own hosts.
func isWeChat(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	return host == "weixin.qq.com" || strings.HasSuffix(host, ".weixin.qq.com")
}

// sameURL compares addresses but for the letter case of scheme and host, and slashes at the end.
func sameURL(a, b string) bool {
	ua, errA := url.Parse(strings.TrimRight(a, "/"))
	ub, errB := url.Parse(strings.TrimRight(b, "/"))
	if errA != nil || errB != nil {
		return a == b
	}
	return strings.EqualFold(ua.Scheme, ub.Scheme) && strings.EqualFold(ua.Host, ub.Host) && ua.Path == ub.Path
}
