package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"carrier/internal/app"
	"carrier/internal/config"
	"carrier/internal/telemetry"
)

// defaultConfig is read when no file is given and it is there.
const defaultConfig = "configs/carrier.yaml"

// configFlag is -c, shared by the commands that read a configuration.
type configFlag struct {
	File string `name:"config" short:"c" placeholder:"FILE" help:"Configuration; default configs/carrier.yaml if that exists, else built-in defaults."`
}

// load reads the configuration; what is wrong with it is a usage error.
func (f *configFlag) load(w *world) (*config.Config, error) {
	file := f.File
	if file == "" {
		if _, err := os.Stat(defaultConfig); err == nil {
			file = defaultConfig
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, usageError{err}
		}
	}
	c, err := config.Load(file, w.env)
	if err == nil {
		err = c.Check()
	}
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

type serveCommand struct {
	configFlag
}

// Help is what --help says beyond the flags.
func (s *serveCommand) Help() string {
	return "SIGHUP (kill -HUP PID, systemctl reload carrier) has it read the configuration again, with its ..._file twins, " +
		"and take all of it over or nothing; the log says what changed, or why nothing did. " +
		"Windows has no such signal: restart it there.\n" +
		"收到 SIGHUP 时重新读取配置（含 ..._file 文件），全部生效或全部不生效，结果见日志。Windows 没有该信号，请重启服务。"
}

func (s *serveCommand) Run(ctx context.Context, w *world) error {
	requests, stop := reloads()
	defer stop()
	c, err := s.load(w)
	if err != nil {
		return err
	}
	log := telemetry.NewLogger(w.stderr, c.Log.Level, c.Log.Format)
	b := version()
	tracing, err := telemetry.NewTracing(ctx, telemetry.TracingOptions{Version: b.Version, Log: log.With("part", "traces")})
	if err != nil {
		return usageError{fmt.Errorf("traces can't be sent to %w; correct OTEL_EXPORTER_OTLP_ENDPOINT", err)}
	}
	a, err := app.New(ctx, app.Options{
		Config: c, Load: func() (*config.Config, error) { return s.load(w) }, Log: log, Version: b.Version, Revision: b.Commit, Tracing: tracing,
	})
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(ctx)
	defer reloadOn(ctx, requests, a)()
	defer end()
	return serve(ctx, w, a, log)
}

// serve runs a service that is built, until ctx ends.
func serve(ctx context.Context, w *world, a *app.App, log *slog.Logger) error {
	// From here on requests are queued at the listeners, if not answered yet.
	tell := func(state string) {
		if err := w.notify(state); err != nil {
			log.Warn("telling the service manager", "state", state, "err", err)
		}
	}
	tell(notifyReady)
	defer context.AfterFunc(ctx, func() { tell(notifyStopping) })()
	if err := a.Run(ctx); err != nil {
		return err
	}
	log.Info("stopped; everything taken in is kept")
	return nil
}
