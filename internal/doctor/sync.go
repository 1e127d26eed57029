package doctor

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"carrier/internal/problem"
)

// eventsStream holds what dispatch systems publish until it is in the store.
const eventsStream = "CARRIER_EVENTS"

// durability looks whether what the server acknowledged to a publisher is on its disk.
//
// A server that keeps a stream alone calls fsync every 2 minutes, unless sync_interval is always: what it acknowledged
// meanwhile, or the stream as a whole, is gone after a power failure. It tells clients nothing of that setting; its
// monitoring endpoint does. (nats-server 2.15.2, defaultSyncInterval; measured)
func (d *doctor) durability(ctx context.Context, at string, nc *nats.Conn, js jetstream.JetStream) {
	if d.o.Config.NATS.IsEmbedded() {
		d.ok(at, text("the embedded server always syncs", "内置服务器总是同步落盘"))
		return
	}
	replicas, keeper := d.keeper(ctx, nc, js)
	if replicas > 1 {
		d.ok(at, problem.Textf("%s is kept by %d servers", "%s 由 %d 台服务器保存", eventsStream, replicas))
		return
	}
	for _, monitor := range d.o.Monitors {
		if d.monitored(ctx, monitor, keeper) {
			return
		}
	}
	d.warn(at, problem.Textf("could not be told: whether %s, which keeps %s alone, syncs what it acknowledges", "无法得知：单独保存 %[2]s 的 %[1]s 是否在确认前落盘", keeper, eventsStream),
		text("see that its configuration has sync_interval: always in the jetstream block; to have it looked at, give its monitoring endpoint (--nats-monitor http://HOST:8222)",
			"请确认其配置的 jetstream 块中有 sync_interval: always；如需自动检查，请给出其监控地址（--nats-monitor http://主机:8222）"))
}

// keeper is how many servers keep the stream, and the name of the one that leads it. While there is none, it will be
// made as the configuration says, on any of a cluster.
func (d *doctor) keeper(ctx context.Context, nc *nats.Conn, js jetstream.JetStream) (replicas int, name string) {
	ctx, cancel := d.look(ctx)
	defer cancel()
	stream, err := js.Stream(ctx, eventsStream)
	if err != nil {
		return d.o.Config.NATS.Replicas, nc.ConnectedServerName()
	}
	info := stream.CachedInfo()
	if info.Cluster != nil && info.Cluster.Leader != "" {
		return info.Config.Replicas, info.Cluster.Leader
	}
	return info.Config.Replicas, nc.ConnectedServerName()
}

// varz is what is read of a server's monitoring. (nats-server, /varz)
type varz struct {
	Name      string `json:"server_name"`
	JetStream struct {
		Config *struct {
			SyncAlways   bool          `json:"sync_always"`
			SyncInterval time.Duration `json:"sync_interval"` // In nanoseconds; 0: the default.
		} `json:"config"`
	} `json:"jetstream"`
}

// monitored asks a server how it syncs, and tells whether that settles the matter: it is the one in question, and has
// answered.
func (d *doctor) monitored(ctx context.Context, address, keeper string) bool {
	var v varz
	status, err := d.get(ctx, strings.TrimRight(address, "/")+"/varz", &v)
	if err == nil && (status != http.StatusOK || v.Name == "") {
		err = errors.New("the answer is not that of a NATS server")
	}
	switch {
	case err != nil:
		d.warn(address, problem.Textf("no NATS server's monitoring: %v", "不是 NATS 服务器的监控地址：%v", err),
			text("give --nats-monitor the server's http_port, as in http://HOST:8222", "请以 --nats-monitor 给出服务器的 http_port，如 http://主机:8222"))
		return false
	case v.Name != keeper:
		d.warn(address, problem.Textf("is the server %[1]s, but %[3]s is kept by %[2]s", "是服务器 %[1]s，而 %[3]s 由 %[2]s 保存", v.Name, keeper, eventsStream),
			problem.Textf("give --nats-monitor the address of %s; it may be given several times", "请以 --nats-monitor 给出 %s 的地址，可给出多个", keeper))
		return false
	case v.JetStream.Config == nil:
		return false // That JetStream is missing was said above.
	case v.JetStream.Config.SyncAlways:
		d.ok(address, problem.Textf("%s syncs what it acknowledges", "%s 在确认前落盘", v.Name))
		return true
	}
	every := "2m0s"
	if i := v.JetStream.Config.SyncInterval; i > 0 {
		every = i.String()
	}
	d.warn(address, problem.Textf("%s syncs every %s only: a power failure loses what it acknowledged to publishers since, or all of %s", "%s 每 %s 才落盘一次：断电会丢失其间已向发布方确认的消息，甚至整个 %s", v.Name, every, eventsStream),
		text("set sync_interval: always in the jetstream block of its configuration, and restart it; or keep the stream on 3 servers (nats.replicas)",
			"请在其配置的 jetstream 块中设置 sync_interval: always 并重启；或由 3 台服务器保存（nats.replicas）"))
	return true
}
