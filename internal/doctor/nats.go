package doctor

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"carrier/internal/bus"
	"carrier/internal/problem"
)

// nats looks at the NATS server as the service would use it.
func (d *doctor) nats(ctx context.Context) {
	if !d.o.Config.NATS.On() {
		return
	}
	nc, err := bus.Connect(ctx, d.o.NATS)
	if err != nil {
		d.unconnected(err)
		return
	}
	defer nc.Close()
	at := nc.ConnectedUrlRedacted()
	d.server(at, nc.ConnectedServerVersion())
	js, err := jetstream.New(nc)
	if err != nil {
		d.fail(at, plain(err), text("see: carrier nats plan", "参见：carrier nats plan"))
		return
	}
	if !d.jetStream(ctx, at, js) {
		return // Nothing else can be asked.
	}
	d.check = "nats.streams"
	d.streams(ctx, at, js)
	d.check = "nats.sync"
	d.durability(ctx, at, nc, js)
}

// unconnected says why there is no connection. The embedded server is there while the service runs.
func (d *doctor) unconnected(err error) {
	n := d.o.Config.NATS
	if n.IsEmbedded() {
		d.warn(n.Embedded.Listen, problem.Textf("the embedded server does not answer: %v", "内置服务器没有应答：%v", err),
			text("start the service (carrier serve), which it is part of", "它随服务运行，请启动服务（carrier serve）"))
		return
	}
	d.fail(n.URL.String(), plain(err), text("check nats.url and the credentials beside it, and that the server runs; events over HTTP and pushes go on without it",
		"请检查 nats.url 及其凭据，并确认服务器在运行；HTTP 接收与推送不受影响"))
}

// versions are what is known of old servers, the newest first.
var versions = []struct {
	before string
	level  Level
	what   problem.Text
}{
	{"2.2.0", Fail, text("has no JetStream of the form that is used here", "不支持所需的 JetStream")},
	{"2.10.23", Warn, text("can lose acknowledged messages when its process is killed (Jepsen, NATS 2.12.1)", "进程被杀时可能丢失已确认的消息（Jepsen，NATS 2.12.1）")},
}

// server judges the server's version.
func (d *doctor) server(at, version string) {
	for _, v := range versions {
		if older(version, v.before) {
			d.found(Finding{Check: d.check, Level: v.level, About: at,
				Text:   problem.Textf("nats-server %[1]s %[2]s", "nats-server %[1]s %[3]s", version, v.what.En, v.what.Zh),
				Advice: text("upgrade it to the newest version", "请升级到最新版本")})
			return
		}
	}
	d.ok(at, problem.Textf("connected, nats-server %s", "已连接，nats-server %s", version))
}

// older compares versions such as 2.12.1-RC.1 by their numbers. One that can't be read is not older.
func older(version, than string) bool {
	version, _, _ = strings.Cut(version, "-")
	a, b := strings.Split(version, "."), strings.Split(than, ".")
	for i := range min(len(a), len(b)) {
		x, errA := strconv.Atoi(a[i])
		y, errB := strconv.Atoi(b[i])
		if errA != nil || errB != nil || x != y {
			return errA == nil && errB == nil && x < y
		}
	}
	return false
}

// jetStream looks whether the account may use it, and tells whether it does.
func (d *doctor) jetStream(ctx context.Context, at string, js jetstream.JetStream) bool {
	ctx, cancel := d.look(ctx)
	defer cancel()
	_, err := js.AccountInfo(ctx)
	switch {
	case err == nil:
		d.ok(at, text("JetStream is enabled", "JetStream 已启用"))
	case errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		d.fail(at, text("JetStream is not enabled for this account", "该账户未启用 JetStream"),
			text("add jetstream: enabled to the account in the server's configuration, or to its JWT (nsc edit account --js-enable 1)", "请在服务器配置的该账户下加入 jetstream: enabled，或在其 JWT 中启用（nsc edit account --js-enable 1）"))
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, nats.ErrNoResponders):
		d.fail(at, text("JetStream is not enabled", "未启用 JetStream"),
			text(`add to the server's configuration: jetstream {store_dir: "/data", sync_interval: always}`, `请在服务器配置中加入：jetstream {store_dir: "/data", sync_interval: always}`))
	default:
		d.fail(at, problem.Textf("JetStream does not answer: %v", "JetStream 没有应答：%v", cmp.Or(context.Cause(ctx), err)),
			text("let this user publish on $JS.API.> and subscribe to _INBOX.>; in a cluster, see whether it has a leader (nats server report jetstream)",
				"请允许该用户发布 $JS.API.> 并订阅 _INBOX.>；若为集群，请检查是否有主节点（nats server report jetstream）"))
	}
	return err == nil
}

// streams says how streams and consumer differ from what the service wants.
func (d *doctor) streams(ctx context.Context, at string, js jetstream.JetStream) {
	ctx, cancel := d.look(ctx)
	defer cancel()
	differences, err := bus.Plan(ctx, js, d.o.NATS)
	if err != nil {
		d.fail(at, problem.Textf("streams and consumer can't be looked at: %v", "无法检查流与消费者：%v", err),
			text("see: carrier nats plan", "参见：carrier nats plan"))
		return
	}
	for _, x := range differences {
		d.difference(x)
	}
	if len(differences) == 0 {
		d.ok(at, text("streams and consumer are as wanted", "流与消费者符合要求"))
	}
}

// difference makes a finding of one. What is missing is made when the service starts, so that it is no failure yet.
func (d *doctor) difference(x bus.Difference) {
	f := Finding{Check: d.check, Level: Warn, About: x.Object, Text: text("is missing", "不存在"), Advice: x.How}
	if x.Field != "" {
		f.Text = problem.Textf("%[1]s is %[3]s, wanted is %[2]s", "%[1]s 为 %[3]s，应为 %[2]s", x.Field, x.Want, x.Found)
		if x.Harm {
			f.Level = Fail
		}
		if x.Fixable {
			f.Advice = text("carrier nats apply changes that ("+x.How.En+")", "用 carrier nats apply 修正（"+x.How.Zh+"）")
		}
	}
	d.found(f)
}
