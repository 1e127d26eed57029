package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"

	"carrier/internal/config"
	"carrier/internal/store"
	"carrier/internal/store/migrate"
)

type storeMigrate struct {
	configFlag
	adminFlags
	To      string `required:"" placeholder:"URL" help:"Where the store goes: postgres://USER@HOST:5432/DATABASE or file:FOLDER, empty or filled by this command before. Write the password as $${NAME}, which is taken from the environment, or into PGPASSWORD or ~/.pgpass."`
	Because string `placeholder:"TEXT" help:"Why you do it, for the audit log of a running service."`
	JSON    bool   `name:"json" help:"Print the result as JSON."`
	Quiet   bool   `short:"q" help:"No progress on standard error."`
}

// migration is one run of the command.
type migration struct {
	*storeMigrate
	*screen
	world    *world
	from, to config.Store
	progress *migrateProgress

	source store.Source
	target store.Importer
}

// States of a migration when a run ends.
const (
	migrationCopied = "copied" // The service goes on with the source; the target is behind.
	migrationMoved  = "moved"  // The source is shut, and the target can be served from.
)

// migrationResult is the command's document.
type migrationResult struct {
	State   string `json:"state"`
	From    string `json:"from"`
	To      string `json:"to"`
	Records int    `json:"records"` // All that both hold: waybills, accounts, acts and so on.
	Events  int    `json:"events"`
	Carried int    `json:"carried"` // Records that this run wrote,
	Removed int    `json:"removed"` // and forgot.
	Next    string `json:"next"`    // What is left to do.
}

func (s *storeMigrate) Run(ctx context.Context, w *world) error {
	c, err := s.load(w)
	if err != nil {
		return err
	}
	m := &migration{storeMigrate: s, screen: newScreen(w), world: w, from: c.Store}
	if m.to, err = c.Store.At(s.To, w.env); err != nil {
		return usageError{fmt.Errorf("--to: %w", err)}
	}
	if m.to.URL == m.from.URL {
		return usageError{fmt.Errorf("--to: the store is at %s already", m.to.URL)}
	}
	m.progress = newMigrateProgress(m.screen, w, s.Quiet)
	defer m.progress.clear()
	result, err := m.run(ctx)
	if err != nil && ctx.Err() != nil {
		return errors.New(m.say("interrupted; what was copied stays, and the same command goes on from there", "已中断；已复制的内容会保留，再次运行同一命令即可继续"))
	}
	m.progress.clear()
	return errors.Join(err, m.tell(result))
}

// run copies what the target lacks, and moves the store if nobody serves from it.
func (m *migration) run(ctx context.Context) (_ *migrationResult, err error) {
	opened, err := m.openSource(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, opened.close()) }()
	m.source = opened.Source
	if m.target, err = m.openTarget(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.target.Close()) }()
	report, err := migrate.Copy(ctx, m.source, m.target, m.progress.show(m.say("copying", "复制")))
	if err != nil {
		return nil, m.explain(err)
	}
	result := &migrationResult{
		State: migrationCopied, From: m.from.URL.String(), To: m.to.URL.String(),
		Records: report.Records, Events: report.Events, Carried: report.Carried, Removed: report.Removed,
	}
	if opened.serving == "" {
		if err := m.move(ctx); err != nil {
			return nil, err
		}
		result.State = migrationMoved
	}
	result.Next = m.next(result.State)
	return result, nil
}

// move proves that both sides hold the same, and shuts the one and opens the other.
func (m *migration) move(ctx context.Context) error {
	again, err := migrate.Compare(ctx, m.source, m.target, m.progress.show(m.say("comparing", "核对")))
	if err != nil {
		return m.explain(err)
	}
	if !again.Same() {
		return fmt.Errorf("the target is not what the source is: %d records differ and %d are too many; nothing was moved. Run this again; "+
			"if it says so once more, something writes to one of them", again.Carried, again.Removed)
	}
	// From here on an interruption would leave two stores that can be served from.
	ctx = context.WithoutCancel(ctx)
	if err := m.target.Finish(ctx); err != nil {
		return fmt.Errorf("the target was filled and can't be served from yet: %w; run this again", err)
	}
	if err := m.source.Moved(ctx, m.to.URL.String()); err != nil {
		return m.explain(errors.Join(err, m.unfinish(ctx)))
	}
	return nil
}

// unfinish takes back that the target can be served from: the source has not moved after all.
func (m *migration) unfinish(ctx context.Context) error {
	closed := m.target.Close()
	var err error
	if m.target, err = m.importer(ctx); err != nil {
		return fmt.Errorf("and the target looks as if it could be served from; don't: %w", errors.Join(err, closed))
	}
	return nil
}

// explain adds what to do to an error of the copying.
func (m *migration) explain(err error) error {
	switch {
	case errors.Is(err, store.ErrInUse):
		return fmt.Errorf("%w; nothing was moved: stop the service and run this again", err)
	case errors.Is(err, store.ErrDiskLow):
		return fmt.Errorf("%w, and run this again: it goes on from here", err)
	case errors.Is(err, migrate.ErrSource):
		return fmt.Errorf("%w; nothing was moved", err)
	}
	return fmt.Errorf("%w; nothing was moved: run this again, and it goes on from here", err)
}

// next is what is left to do.
func (m *migration) next(state string) string {
	if state == migrationMoved {
		return m.sayf("set in the configuration: store.url: %s", "在配置中设置：store.url: %s", m.place())
	}
	return m.say("the service goes on as before. Stop it and run the same command again, which carries what has changed and moves the store; "+
		"until then it may be run as often as you like", "服务照常运行。停止服务后再次运行同一命令，即可搬运其间的变化并完成迁移；在此之前可随时重复运行")
}

// named is a ${NAME} in an address.
var named = regexp.MustCompile(`\$\{\w+\}`)

// place is the target's address for the configuration: as it was given, unless that holds a password.
func (m *migration) place() string {
	u, err := url.Parse(named.ReplaceAllString(m.To, ""))
	if err != nil {
		return m.to.URL.String()
	}
	password, _ := u.User.Password()
	for _, parameter := range []string{"password", "sslpassword"} {
		password += u.Query().Get(parameter)
	}
	if password != "" {
		return m.to.URL.String()
	}
	return m.To
}

// tell prints the result.
func (m *migration) tell(r *migrationResult) error {
	switch {
	case r == nil:
		return nil
	case m.JSON:
		return encodeJSON(m.w, r)
	}
	said := m.sayf("copied from %s to %s: %d {3:event|events} among %d {4:record|records}, %d of them carried now", "已从 %s 复制到 %s：共 %d 个事件、%d 条记录，本次搬运 %d 条",
		r.From, r.To, r.Events, r.Records, r.Carried)
	if r.State == migrationMoved {
		said = m.sayf("moved from %s to %s: %d {3:event|events} among %d {4:record|records}, each compared by its SHA-256; %d carried now",
			"已从 %s 迁移到 %s：共 %d 个事件、%d 条记录，均以 SHA-256 逐条核对；本次搬运 %d 条", r.From, r.To, r.Events, r.Records, r.Carried)
	}
	return errors.Join(m.line(said), m.line(r.Next))
}
