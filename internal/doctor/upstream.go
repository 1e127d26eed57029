package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"carrier/internal/problem"
)

// How far this machine's clock may be from upstream's. Signatures and callbacks are refused when they are 5 minutes off.
const (
	skewWarn = 30 * time.Second
	skewFail = 5 * time.Minute
)

// upstreams connects to each host that pushes go to, once, and asks it for nothing but the time.
func (d *doctor) upstreams(ctx context.Context) {
	seen := map[string]bool{}
	reach := func(base string, fallback bool) {
		if base != "" && !seen[base] && ctx.Err() == nil {
			seen[base] = true
			d.upstream(ctx, base, fallback)
		}
	}
	for _, a := range d.o.Config.Accounts {
		reach(a.BaseURL, false)
	}
	for _, m := range d.o.Config.Merchants {
		reach(m.BaseURL, false)
	}
	for _, a := range d.o.Config.Accounts {
		reach(a.FallbackBaseURL, true)
	}
}

// upstream looks at one host.
func (d *doctor) upstream(ctx context.Context, base string, fallback bool) {
	skew, dated, expires, err := d.reach(ctx, base)
	off := skew.Abs().Round(time.Second)
	switch {
	case err != nil && fallback:
		d.warn(base, problem.Textf("the fallback can't be reached: %v", "备用地址无法访问：%v", err), unreachedAdvice(err))
	case err != nil:
		d.fail(base, problem.Textf("can't be reached: %v", "无法访问：%v", err), unreachedAdvice(err))
	case !expires.IsZero() && time.Until(expires) < certificateSoon:
		d.warn(base, problem.Textf("can be reached, but its certificate runs out on %s", "可访问，但其证书将于 %s 过期", expires.UTC().Format(time.DateOnly)),
			text("whoever runs that host has to renew it", "请联系该主机的维护者更新证书"))
	case !dated:
		d.ok(base, text("can be reached; it does not say what time it is", "可访问；未返回时间"))
	case off >= skewFail:
		d.fail(base, problem.Textf("can be reached, but this machine's clock is %s off", "可访问，但本机时钟相差 %s", off), clockAdvice)
	case off >= skewWarn:
		d.warn(base, problem.Textf("can be reached; this machine's clock is %s off", "可访问；本机时钟相差 %s", off), clockAdvice)
	default:
		d.ok(base, text("can be reached, and the clocks agree", "可访问，时钟一致"))
	}
}

var clockAdvice = text("set the clock and keep it by NTP (chrony, systemd-timesyncd): 5 minutes off, WeChat's pushes and signed requests are refused",
	"请校准时钟并启用 NTP（chrony、systemd-timesyncd）：相差 5 分钟时，微信推送与签名请求会被拒绝")

// reach connects to a host and compares its clock with this machine's: skew is how much ours is ahead. The request holds
// no credentials. Any answer will do: the path is none of the API's.
// expires is when its certificate does.
func (d *doctor) reach(ctx context.Context, base string) (skew time.Duration, dated bool, expires time.Time, err error) {
	ctx, cancel := d.look(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, base+"/", nil)
	if err != nil {
		return 0, false, expires, err
	}
	client := &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	asked := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return 0, false, expires, throughProxy(req, unwrapped(ctx, err))
	}
	answered := time.Now()
	_ = resp.Body.Close() // HEAD has no body.
	if resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		expires = resp.TLS.PeerCertificates[0].NotAfter
	}
	at, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return 0, false, expires, nil
	}
	at = at.Add(time.Second / 2) // The header is cut to the second.
	return asked.Add(answered.Sub(asked) / 2).Sub(at), true, expires, nil
}

// certificateSoon is how long before a certificate runs out that is told.
const certificateSoon = 14 * 24 * time.Hour

// throughProxy says by way of which proxy a host was not reached, if there is one: it is often the proxy's fault.
func throughProxy(req *http.Request, err error) error {
	proxy, bad := http.ProxyFromEnvironment(req)
	if bad != nil || proxy == nil {
		return err
	}
	return fmt.Errorf("through the proxy %s://%s: %w", proxy.Scheme, proxy.Host, err)
}

// unreachedAdvice is what to do about an error on the way to a host.
func unreachedAdvice(err error) problem.Text {
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	invalid, expired := errors.AsType[x509.CertificateInvalidError](err)
	wrong, other := errors.AsType[x509.HostnameError](err)
	_, unknown := errors.AsType[*net.DNSError](err)
	switch {
	case expired && invalid.Reason == x509.Expired:
		return text("is this machine's clock right? Otherwise the host's certificate has run out", "请检查本机时钟；如时钟无误，则对方证书已过期")
	case other:
		return problem.Textf("the certificate is not for %s: check the address, or look for a proxy that answers in its place", "证书不属于 %s：请检查地址，或检查是否有代理冒充应答", wrong.Host)
	case untrusted:
		return text("install the CA certificates (package ca-certificates), or look for a proxy that breaks TLS open", "请安装 CA 证书（ca-certificates），或检查是否有代理拦截 TLS")
	case unknown:
		return text("check base_url and this machine's DNS", "请检查 base_url 与本机 DNS")
	}
	return text("let this machine connect there: check base_url, firewall and HTTPS_PROXY", "请放行到该地址的连接：检查 base_url、防火墙与 HTTPS_PROXY")
}
