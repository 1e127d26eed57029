package main

import (
	"context"
	"fmt"
	"strconv"

	"carrier/internal/adminclient"
)

type differencesCommand struct{ asking }

func (d *differencesCommand) Run(ctx context.Context, w *world) error {
	return d.with(ctx, w, func(s *session) error {
		a, err := s.Differences(ctx)
		if err != nil {
			return err
		}
		return show(s, a, s.differences)
	})
}

// differences shows the waybills of which WeChat does not show what was delivered, and what can be done about them.
func (s *session) differences(d *adminclient.Differences) error {
	if len(d.Items) == 0 {
		return s.note(s.say("no difference is known; that speaks for the waybills that were checked: a share of them (verify.share), of shops whose credentials are in merchants",
			"没有已知差异；这只代表已核对的运单：按 verify.share 抽取，且其店铺的凭据已在 merchants 中配置"))
	}
	t := s.table(
		column{head: s.say("WAYBILL", "运单")}, column{head: s.say("MERCHANT", "商家"), below: true}, column{head: s.say("FOUND", "首次发现")},
		column{head: s.say("CHECKED", "最近核对")}, column{head: s.say("MISSING", "缺失"), right: true}, column{head: s.say("CHANGED", "文本不同"), right: true},
		column{head: s.say("MOVED", "位置不同"), right: true}, column{head: s.say("EXTRA", "多出"), right: true},
	)
	for i := range d.Items {
		s.differenceRow(t, &d.Items[i])
	}
	if err := t.flush(); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(s.w); err != nil {
		return err
	}
	return s.line(s.say("carrier waybill upstream DELIVERY_ID/WAYBILL_ID shows each; carrier waybill heal pushes again what is missing.",
		"carrier waybill upstream DELIVERY_ID/WAYBILL_ID 查看详情；carrier waybill heal 补推缺失的推送。"))
}

func (s *screen) differenceRow(t *table, d *adminclient.Difference) {
	t.add(waybillName(d.DeliveryID, d.WaybillID), d.Merchant, s.time(&d.FoundAt), s.time(&d.CheckedAt),
		strconv.Itoa(len(d.Missing)), strconv.Itoa(len(d.Changed)), strconv.Itoa(len(d.Moved)), strconv.Itoa(d.Extra))
}
