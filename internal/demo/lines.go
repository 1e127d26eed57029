package demo

import (
	"cmp"
	"fmt"
	"time"
)

// printLines tells what is running and what can be tried.
func (d *demo) printLines() {
	c := &d.client
	now := time.Now().Unix()
	_, _ = fmt.Fprintf(d.o.Out, `carrier demo is up. 演示已启动。

  events   %[1]s   (webhook)
  console  %[2]s   (log in with CARRIER_ADMIN_TOKEN below; 用下面的 CARRIER_ADMIN_TOKEN 登录)
  admin    %[2]s   (API, /docs, /metrics, /readyz)
  NATS     %[14]s   (scans in, outcomes out)
  upstream %[3]s   (simulator of WeChat; open it in a browser)

  export CARRIER_API_KEY=%[4]s
  export CARRIER_SIGNING_SECRET=%[15]s
  export CARRIER_ADMIN_TOKEN=%[5]s
  export CARRIER_ADMIN_URL=%[2]s

Lines to try 可以试试:

  # what WeChat pushed when waybill %[7]s was ordered, decrypted, and the answer  微信推送的下单事件与应答
  curl -s '%[3]s/_sandbox/callbacks?order_id=%[13]s'

  # a scan of that waybill  发送一条扫描
  curl -s %[1]s/v1/events -H "Authorization: Bearer $CARRIER_API_KEY" -H 'Content-Type: application/json' \
    -d '{"id":"try-1","delivery_id":"%[6]s","waybill_id":"%[7]s","action_type":100001,"action_time":%[8]d,"action_msg":"快递员已成功取件"}'

  # signed before it was on its way: a scan is missing, so it is held for 3 s  缺少中间的扫描：先暂存 3 秒
  curl -s %[1]s/v1/events -H "Authorization: Bearer $CARRIER_API_KEY" -H 'Content-Type: application/json' \
    -d '{"id":"try-2","delivery_id":"%[6]s","waybill_id":"%[7]s","action_type":300003,"action_time":%[9]d,"action_msg":"快件已签收"}'

  # after the signature nothing is legal: 409, and why  签收之后不再接受，并说明原因
  curl -s %[1]s/v1/events -H "Authorization: Bearer $CARRIER_API_KEY" -H 'Content-Type: application/json' -H 'Accept-Language: zh' \
    -d '{"id":"try-3","delivery_id":"%[6]s","waybill_id":"%[7]s","action_type":200001,"action_time":%[10]d,"action_msg":"到达上海"}'

  # the waybill's whole story, and what upstream has of it  运单全程与微信侧轨迹
  %[11]s waybill show %[7]s
  curl -s %[2]s/admin/v1/waybills/%[6]s/%[7]s -H "Authorization: Bearer $CARRIER_ADMIN_TOKEN"
  curl -s '%[3]s/_sandbox/nodes?waybill_id=%[7]s'

  # what the customer sees of it beside what was delivered; waybills that were found to differ  客户所见与已送达的对照；有差异的运单
  %[11]s waybill upstream %[7]s
  %[11]s differences

  # %[12]d pushes have failed: WeChat did not know their waybills yet. See why, try, and send them again  查看失败的推送，先预演，再重放
  %[11]s pushes list --status failed
  %[11]s pushes replay --status failed --dry-run
  %[11]s pushes replay --status failed --because 'WeChat knows them now'

  # the same over NATS: a scan into the stream, one as a request with its verdict, and what becomes of all pushes  通过 NATS
  nats -s %[14]s pub carrier.events.try '{"id":"try-4","delivery_id":"%[6]s","waybill_id":"%[7]s","action_type":200001,"action_time":%[8]d,"action_msg":"到达深圳"}'
  nats -s %[14]s request carrier.submit.try '{"id":"try-5","delivery_id":"%[6]s","waybill_id":"%[7]s","action_type":300002,"action_time":%[9]d,"action_msg":"正在派件"}'
  nats -s %[14]s sub 'carrier.outcomes.>'
  nats -s %[14]s micro stats carrier

  # let upstream fail, watch the breaker, and heal it  让微信侧出错，观察熔断，再恢复
  curl -s -X PUT %[3]s/_sandbox/faults -d '{"outage":true}'
  %[11]s accounts list
  curl -s -X DELETE %[3]s/_sandbox/faults

Sample traffic is running; Ctrl-C ends it with a summary. 示例流量运行中，按 Ctrl-C 结束并输出汇总。
`, c.events, c.admin, d.boxURL, c.key, c.token, DeliveryID, d.playground, now-60, now-30, now,
		cmp.Or(d.o.Command, "carrier"), len(d.unlucky), d.playOrder, d.app.NATSURL(), c.signing)
}
