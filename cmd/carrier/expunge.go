package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/term"

	"carrier/internal/adminclient"
)

type waybillExpunge struct {
	theWaybill
	Reason string `required:"" aliases:"because" placeholder:"TEXT" help:"Why, for the audit log."`
	Yes    bool   `help:"Do not ask; needed where there is no terminal."`
}

func (v *waybillExpunge) Run(ctx context.Context, w *world) error {
	if !v.Yes && !canAsk(w) {
		return usageError{errors.New("this forgets for good, and there is no terminal to ask; --yes does it without asking")}
	}
	return v.on(ctx, w, func(s *session, delivery, waybill string) error {
		if !v.Yes {
			if err := s.confirm(ctx, s.sayf(
				"Forget for good what is personal about waybill %s: texts, Tokens and what was ordered? What is not sent yet will not be sent. [y/N] ",
				"永久清除运单 %s 的个人数据（文本、Token 与订单内容）？尚未发送的推送将不再发送。[y/N] ", waybillName(delivery, waybill))); err != nil {
				return err
			}
		}
		a, err := s.Expunge(ctx, delivery, waybill, v.Reason)
		if err != nil {
			return err
		}
		return show(s, a, s.expunged)
	})
}

// canAsk tells whether a person can be asked: both the question and the answer need a terminal.
func canAsk(w *world) bool {
	for _, stream := range []any{w.stdin, w.stderr} {
		if f, ok := stream.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
			return false
		}
	}
	return true
}

// confirm asks a question on standard error. Anything but a yes, and the end of the input too, is a no, which is an
// error.
func (s *session) confirm(ctx context.Context, question string) error {
	if _, err := io.WriteString(s.world.stderr, visible(question)); err != nil {
		return err
	}
	answer := make(chan string, 1)
	go func() { // A read can't be interrupted: after Ctrl-C it is left behind, and ends with the process.
		line, _ := bufio.NewReader(s.world.stdin).ReadString('\n') // What can't be read is no yes.
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	said := ""
	select {
	case said = <-answer:
	case <-ctx.Done():
		fmt.Fprintln(s.world.stderr) // What follows does not stand behind the question.
	}
	if ctx.Err() != nil || !slices.Contains([]string{"y", "yes", "是"}, said) {
		return errors.New(s.say("nothing was done", "未作任何更改"))
	}
	return nil
}

// expunged shows what was forgotten.
func (s *screen) expunged(e *adminclient.Expunged) error {
	var f facts
	f.add(s.say("waybill", "运单"), waybillName(e.Waybill.DeliveryID, e.Waybill.WaybillID))
	f.add(s.say("texts forgotten", "已清除文本"), strconv.Itoa(e.Events))
	f.add(s.say("Tokens forgotten", "已清除 Token"), strconv.Itoa(e.Tokens))
	f.add(s.say("orders forgotten", "已清除订单"), strconv.Itoa(e.Orders))
	f.add(s.say("customer's texts", "已清除轨迹"), strconv.Itoa(e.Shown))
	f.add(s.say("pushes discarded", "已作废推送"), strconv.Itoa(e.Discarded))
	if err := f.print(s); err != nil {
		return err
	}
	if e.Events+e.Tokens+e.Orders+e.Shown+e.Discarded == 0 {
		return s.line(s.say("There was nothing left to forget.", "没有需要清除的内容。"))
	}
	return s.line(s.say("Copies that were made of the store before still hold it.", "此前备份的存储副本中仍有这些内容。"))
}
