package doctor

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"carrier/internal/config"
	"carrier/internal/problem"
)

// median of what is not empty; it changes the order.
func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

// spareFiles are the open files that the service needs beside its connections to upstream: the store's, the listeners',
// and the connections of those who send and look.
const spareFiles = 1024

// machine looks at what the operating system gives a process, and says what of it does not matter.
func (d *doctor) machine(context.Context) {
	need := uint64(spareFiles)
	for _, a := range d.o.Config.Accounts {
		need += uint64(a.Concurrency)
	}
	switch limit, known := openFilesLimit(); {
	case !known:
	case limit < need:
		d.warn("", problem.Textf("a process of this user may have %d files and connections open, and %d can be needed", "当前用户的进程最多可打开 %d 个文件与连接，而可能需要 %d 个", limit, need),
			text("raise it: LimitNOFILE=65536 in the systemd unit, or ulimit -n", "请调高：systemd 单元中设置 LimitNOFILE=65536，或使用 ulimit -n"))
	default:
		d.ok("", problem.Textf("open files: %d can be needed, %s are allowed", "打开文件数：可能需要 %d，允许 %s", need, shownLimit(limit)))
	}
	zone, _ := time.Now().Zone()
	d.ok("", problem.Textf("its time zone (%s) does not matter: upstream's days are counted in Beijing's", "本机时区（%s）无关紧要：微信的“天”按北京时间计算", zone))
}

// shownLimit is a limit as people say it.
func shownLimit(n uint64) string {
	if n > 1<<40 {
		return "any number"
	}
	return problem.Textf("%d", "%d", n).En
}

// listeners says who can reach the service's two addresses.
func (d *doctor) listeners(context.Context) {
	s := d.o.Config.Server
	if isOpen(s.AdminListen) {
		d.warn(s.AdminListen, text("other machines can reach the admin listener (server.admin_listen): /metrics, /readyz and the API's description need no token, and there is no TLS", "其他机器可访问管理端口（server.admin_listen）：/metrics、/readyz 与接口说明无需令牌，且没有 TLS"),
			text("let a firewall or a reverse proxy with TLS keep it inside", "请用防火墙或带 TLS 的反向代理将其限制在内网"))
	} else {
		d.ok(s.AdminListen, text("admin API, console and metrics can be reached from this machine only", "管理 API、控制台与指标仅本机可访问"))
	}
	switch open := isOpen(s.Listen); {
	case open:
		d.ok(s.Listen, text("events and callbacks are taken from other machines; over plain HTTP, so put a reverse proxy with TLS before it", "可接收其他机器的事件与回调；为明文 HTTP，请在其前部署带 TLS 的反向代理"))
	case takesCallbacks(d.o.Config):
		d.ok(s.Listen, text("events and callbacks are taken from this machine only: a reverse proxy here must pass WeChat's pushes on to it", "事件与回调仅接收来自本机的：需由本机的反向代理转发微信推送"))
	default:
		d.ok(s.Listen, text("events are taken from this machine only", "事件仅接收来自本机的"))
	}
}

// isOpen tells whether other machines can reach an address to listen on.
func isOpen(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil || strings.EqualFold(host, "localhost") {
		return err != nil
	}
	ip, err := netip.ParseAddr(host)
	return err != nil || !ip.IsLoopback()
}

func takesCallbacks(c *config.Config) bool {
	return slices.ContainsFunc(c.Accounts, func(a config.Account) bool { return a.Callback.Token != "" })
}
