package doctor

import (
	"context"
	"fmt"
	"time"

	"carrier/internal/problem"
	"carrier/internal/store/postgres"
)

// tolerableSkew is how far clocks may be apart without anybody noticing.
const tolerableSkew = time.Second

// database looks at the PostgreSQL that nodes share, as a node would use it. Its time zone is of no matter: every
// connection of the store says which one it means.
func (d *doctor) database(ctx context.Context) {
	address, ok := d.o.Config.Store.Postgres()
	if !ok {
		return
	}
	ctx, cancel := d.look(ctx)
	defer cancel()
	s, err := postgres.LookAt(ctx, address)
	if err != nil {
		where := "store.url"
		if s != nil {
			where = s.Where
		}
		d.fail(where, problem.Textf("can't be looked at: %v", "无法检查：%v", err),
			text("see that it runs and lets this machine in (pg_hba.conf), and that store.url is right", "请确认它在运行且允许本机连接（pg_hba.conf），并检查 store.url"))
		return
	}
	d.judge(s)
}

// judge says what to make of what was seen.
func (d *doctor) judge(s *postgres.Survey) {
	d.databaseServer(s)
	d.databaseSafety(s)
	d.databaseSchema(s)
	d.databaseConnections(s)
	d.databaseClock(s)
	d.databaseWire(s)
	d.databaseNodes(s)
}

func (d *doctor) databaseServer(s *postgres.Survey) {
	switch {
	case s.Old:
		d.fail(s.Where, problem.Textf("PostgreSQL %s is too old", "PostgreSQL %s 版本过低", s.Version), text("upgrade it to 14 or newer", "请升级到 14 或更高版本"))
	case s.Standby:
		d.fail(s.Where, problem.Textf("PostgreSQL %s is a standby, which takes no writes", "PostgreSQL %s 是只读备库", s.Version),
			text("let store.url name the primary; with several hosts add target_session_attrs=read-write to it", "请让 store.url 指向主库；若列出多个主机，请加上 target_session_attrs=read-write"))
	case s.Encoding != "UTF8":
		d.fail(s.Where, problem.Textf("the database's encoding is %s", "数据库编码为 %s", s.Encoding),
			text("make another one: CREATE DATABASE carrier ENCODING 'UTF8' TEMPLATE template0", "请另建数据库：CREATE DATABASE carrier ENCODING 'UTF8' TEMPLATE template0"))
	default:
		d.ok(s.Where, problem.Textf("PostgreSQL %s; it answers within %s", "PostgreSQL %s，应答耗时 %s", s.Version, s.RoundTrip.Round(10*time.Microsecond)))
	}
}

// databaseSafety looks at the settings that say whether what was committed outlasts a crash.
func (d *doctor) databaseSafety(s *postgres.Survey) {
	safe := true
	for _, x := range []struct {
		name, value  string
		loses, fixes problem.Text
	}{
		{"synchronous_commit", s.Synchronous, text("a crash loses what was acknowledged", "崩溃会丢失已确认的事件"),
			text("ALTER DATABASE ... SET synchronous_commit = on, and leave it out of store.url", "执行 ALTER DATABASE ... SET synchronous_commit = on，并从 store.url 中去掉该项")},
		{"fsync", s.Fsync, text("a power loss loses all", "断电会丢失全部数据"),
			text("set fsync = on in postgresql.conf and restart the server", "请在 postgresql.conf 中设置 fsync = on 并重启")},
		{"full_page_writes", s.FullPageWrites, text("a power loss may damage pages beyond repair", "断电可能造成无法修复的页损坏"),
			text("set full_page_writes = on in postgresql.conf and reload, unless the file system writes pages whole", "请在 postgresql.conf 中设置 full_page_writes = on 并重新加载，除非文件系统保证整页写入")},
	} {
		if x.value == "off" {
			safe = false
			d.fail(s.Where, problem.Textf("%[1]s is off: %[2]s", "%[1]s 为 off：%[3]s", x.name, x.loses.En, x.loses.Zh), x.fixes)
		}
	}
	if safe {
		d.ok(s.Where, problem.Textf("what is committed outlasts a crash (synchronous_commit %s, fsync %s)", "已提交的数据不会因崩溃丢失（synchronous_commit %s，fsync %s）", s.Synchronous, s.Fsync))
	}
}

func (d *doctor) databaseSchema(s *postgres.Survey) {
	switch {
	case s.Schema > s.NewestSchema:
		d.fail(s.Where, problem.Textf("its schema is of a newer carrier (version %d; this one knows up to %d)", "表结构属于更新版本的 carrier（版本 %d，本程序最高支持 %d）", s.Schema, s.NewestSchema),
			text("run that version, or use another database", "请使用该版本，或换一个数据库"))
	case s.Schema < s.NewestSchema && !s.MayCreate:
		d.fail(s.Where, text("this user may not make tables", "当前用户没有建表权限"),
			text("GRANT CREATE ON SCHEMA public TO the user of store.url", "请执行 GRANT CREATE ON SCHEMA public TO store.url 中的用户"))
	case s.Schema == 0:
		d.ok(s.Where, text("there is no store in it yet: the first start makes it", "尚无数据，首次启动时创建"))
	case s.Schema < s.NewestSchema:
		d.warn(s.Where, problem.Textf("its schema is of version %d; the next start of this carrier brings it to %d, and older ones refuse it then", "表结构为版本 %d；本程序下次启动时升级到 %d，之后旧版本将无法使用", s.Schema, s.NewestSchema),
			text("back the database up before (pg_dump)", "请先备份数据库（pg_dump）"))
	default:
		d.ok(s.Where, problem.Textf("its schema is of version %d, the newest", "表结构为最新版本 %d", s.Schema))
	}
}

// databaseConnections looks whether one more node finds connections.
func (d *doctor) databaseConnections(s *postgres.Survey) {
	said := problem.Textf("%d more connections are to be had, and a node takes up to %d", "还可建立 %d 个连接，每个节点最多使用 %d 个", s.FreeConnections, s.PerNode)
	if s.FreeConnections < s.PerNode {
		d.warn(s.Where, said, problem.Textf("raise max_connections to at least %d for each node (and the limits of the user and the database), or lower it by pool_max_conns in store.url",
			"请调高 max_connections，为每个节点至少预留 %d 个连接（同时检查用户与数据库的连接上限），或在 store.url 中用 pool_max_conns 降低", s.PerNode))
		return
	}
	d.ok(s.Where, said)
}

// databaseClock: leases go by the database's clock alone, but records bear the time of the node that wrote them.
func (d *doctor) databaseClock(s *postgres.Survey) {
	if off := s.Ahead.Abs() - s.RoundTrip/2; off > tolerableSkew {
		direction := text("ahead of", "快")
		if s.Ahead < 0 {
			direction = text("behind", "慢")
		}
		d.warn(s.Where, problem.Textf("its clock is %[1]s %[2]s this machine's", "其时钟比本机%[3]s %[1]s", off.Round(100*time.Millisecond), direction.En, direction.Zh),
			text("let both follow the same time servers (chrony, systemd-timesyncd): records of several nodes are else not in order of time", "请让两台机器同步到同一时间源（chrony、systemd-timesyncd），否则各节点记录的时间前后不一"))
		return
	}
	d.ok(s.Where, text("its clock agrees with this machine's", "其时钟与本机一致"))
}

// databaseWire looks whether others on the network could read along.
func (d *doctor) databaseWire(s *postgres.Survey) {
	if s.Encrypted || s.Local {
		return
	}
	d.warn(s.Where, text("the connection is not encrypted: whoever is on the network can read phone numbers and Tokens", "连接未加密：网络上的他人可读到手机号与 Token"),
		text("add sslmode=verify-full to store.url, and let the server have a certificate (ssl = on)", "请在 store.url 中加上 sslmode=verify-full，并为服务器配置证书（ssl = on）"))
}

// databaseNodes tells who shares the database, and whether anything is nobody's.
func (d *doctor) databaseNodes(s *postgres.Survey) {
	alive := 0
	for _, n := range s.Nodes {
		about := fmt.Sprintf("%s, %s", s.Where, n.Name)
		switch {
		case n.Left <= 0:
			d.warn(about, problem.Textf("a node whose lease ended %s ago and that nobody has cleared away", "该节点的租约已于 %s 前到期，尚无节点接管", (-n.Left).Round(time.Second)),
				text("if it should run, see its log; others take over what it had as soon as one runs", "若它应在运行，请查看其日志；只要有节点在运行就会接管"))
		default:
			alive++
			d.ok(about, problem.Textf("a node, alive, with %d of %d slots", "节点在线，拥有 %d/%d 个分片", n.Slots, s.Slots))
		}
	}
	if alive > 0 && s.FreeSlots > 0 {
		d.warn(s.Where, problem.Textf("%d of %d slots are nobody's: their waybills are not pushed", "%d/%d 个分片无主，其运单暂不推送", s.FreeSlots, s.Slots),
			text("run this again in a few seconds; if they stay so, see the nodes' logs", "请几秒后重试；若仍如此，请查看各节点日志"))
	}
}
