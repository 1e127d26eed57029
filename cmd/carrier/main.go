// Command carrier takes scan events in and pushes them to WeChat's Mini Program logistics, in order per waybill.
//
// This package translates the outside world: flags, environment, signals and exit codes. The service itself is built
// by package app.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	_ "time/tzdata" // the machine may have no zone files

	"github.com/alecthomas/kong"
)

// Exit statuses (README, Exit status).
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // the command line or the configuration is wrong
)

// commands are all commands; one file each.
type commands struct {
	Serve   serveCommand   `cmd:"" group:"run" help:"Run the service. 运行服务"`
	Demo    demoCommand    `cmd:"" group:"run" help:"Run everything on a temporary store, with sample traffic; needs no set-up. 一键演示"`
	Sandbox sandboxCommand `cmd:"" group:"run" help:"Run the upstream simulator alone. 运行上游模拟器"`
	Send    sendCommand    `cmd:"" group:"run" help:"Send events from a file (NDJSON or CSV). 从文件发送事件"`

	Pushes      pushesCommand      `cmd:"" group:"act" help:"See, replay and discard pushes. 查看、重放与作废推送"`
	Events      eventsCommand      `cmd:"" group:"act" help:"See events, and accept rejected ones. 查看事件，放行被拒绝的事件"`
	Waybill     waybillCommand     `cmd:"" group:"act" help:"See a waybill's story, and act on its pushes. 查看运单全程并处理其推送"`
	Accounts    accountsCommand    `cmd:"" group:"act" help:"See, pause and resume accounts. 查看、暂停与恢复账户"`
	Replays     replaysCommand     `cmd:"" group:"act" help:"See and steer bulk replays. 查看与控制重放任务"`
	Differences differencesCommand `cmd:"" group:"act" help:"List waybills that WeChat shows otherwise than delivered. 微信所示与送达不符的运单"`
	Audit       auditCommand       `cmd:"" group:"act" help:"List what people did. 审计记录"`
	DeadLetters deadLettersCommand `cmd:"" group:"act" help:"List messages that could not be read. 无法读取的消息"`
	Stats       statsCommand       `cmd:"" group:"act" help:"Show the service's figures. 服务统计"`

	WeChat wechatCommand `cmd:"" name:"wechat" group:"wechat" help:"WeChat's own calls by hand, for diagnosis. 手动调用微信接口"`

	Doctor  doctorCommand  `cmd:"" group:"keep" help:"Look a set-up over, and say what to do about each finding. 检查整套部署并给出处理建议"`
	Health  healthCommand  `cmd:"" group:"keep" help:"Ask a running service whether it is well, for containers and service managers. 健康检查"`
	Config  configCommand  `cmd:"" group:"keep" help:"Check a configuration, or print its JSON Schema. 检查配置"`
	Store   storeCommand   `cmd:"" group:"keep" help:"Check, back up or move a store. 检查、备份或迁移存储"`
	NATS    natsCommand    `cmd:"" group:"keep" name:"nats" help:"See and make the streams and the consumer on NATS. 查看与修正 NATS 的流与消费者"`
	Bench   benchCommand   `cmd:"" group:"keep" help:"Measure this machine against the built-in simulator. 性能测试"`
	Version versionCommand `cmd:"" group:"keep" help:"Print version, commit and Go version. 版本信息"`
}

// world is what a command may use of the outside.
type world struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            []string
}

// usageError is a mistake in the command line or the configuration.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	w := &world{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, env: os.Environ()}
	// A second signal ends the process at once: NotifyContext stops catching when stop is called.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, w, os.Args[1:]))
}

// run carries out one command line and returns the exit status.
func run(ctx context.Context, w *world, args []string) int {
	var c commands
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("carrier"),
		kong.Description("Scan events in, WeChat logistics updates out: durable, in order per waybill.\n"+
			"接收快递扫描事件，按运单顺序可靠推送到微信物流助手。"),
		kong.Writers(w.stdout, w.stderr),
		kong.Exit(func(status int) { exited = status }),
		kong.UsageOnError(),
		kong.ExplicitGroups([]kong.Group{
			{Key: "run", Title: "Run it and send to it 运行与发送:"},
			{Key: "act", Title: "See and put right, of a running service 查看与处理运行中的服务:"},
			{Key: "wechat", Title: "Ask WeChat 查询微信:"},
			{Key: "service", Title: "Service and output 所连服务与输出:"},
			{Key: "keep", Title: "Set up and maintain 配置与维护:"},
		}),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(w),
	)
	if err != nil {
		return report(w, err)
	}
	command, err := parser.Parse(customary(args))
	if exited >= 0 {
		return exited // --help
	}
	if err != nil {
		return report(w, usageError{fmt.Errorf("%w; %s --help shows what there is", err, typed(err))})
	}
	return report(w, command.Run())
}

// customary makes a command line of this program's of what people are used to type elsewhere.
func customary(args []string) []string {
	switch {
	case len(args) == 0:
		return []string{"--help"}
	case args[0] == "--version":
		return append([]string{"version"}, args[1:]...)
	case args[0] == "help":
		return append(slices.Clone(args[1:]), "--help")
	}
	return args
}

// typed is the command line as far as it was understood.
func typed(err error) string {
	text := "carrier"
	if parse, ok := errors.AsType[*kong.ParseError](err); ok {
		for _, p := range parse.Context.Path {
			if p.Command != nil {
				text += " " + p.Command.Name
			}
		}
	}
	return text
}

// report prints an error on one line and returns the exit status that it stands for.
func report(w *world, err error) int {
	if err == nil {
		return exitDone
	}
	status := exitFailed
	if _, usage := errors.AsType[usageError](err); usage {
		status = exitUsage
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(w.stderr, "carrier:", strings.TrimRight(line, "\n"))
	}
	return status
}
