// Package sandbox is WeChat's side of 物流助手 in one [net/http.Handler]: for the demo, for tests, and for integrators
// who have no appid yet.
//
// It knows nothing of the packages that speak to the real upstream, so that a mistake can't be made on both sides.
// What it refuses, and with which errcode, follows the public documents (WeChat 物流助手, updatePath; 获取接口调用凭据,
// 获取稳定版接口调用凭据). Where these are silent it is lenient where the real one is known to be (no order of nodes,
// no idempotency), and strict where a client should not rely on luck.
//
//	/cgi-bin/token                          access_token, basic        token_api.go, token.go
//	/cgi-bin/stable_token                   access_token, stable
//	/cgi-bin/component/api_component_token  a third-party platform's   platform.go
//	.../api_query_auth, _authorizer_token   and its merchants'
//	/cgi-bin/express/delivery/path/update   one node of one waybill    update.go
//	                                        add_express_path after it  expresspath.go
//	/cgi-bin/express/business/order/add     a merchant orders          orderadd.go, orderform.go, merchantorders.go
//	/cgi-bin/express/business/order/cancel  and cancels                ordercancel.go
//	.../business/path/get                   reads its trace            pathget.go, business.go
//	.../business/order/get, batchget        its orders                 orderget.go
//	.../business/test_update_order          nodes of its tests         testorder.go
//	/cgi-bin/openapi/quota/get              what is used of a quota    usage.go
//	/cgi-bin/clear_quota                    sets it back               usage.go
//	/cgi-bin/openapi/rid/get                what a refusal was about   rid.go
//	/_sandbox/faults                        what goes wrong            faults_api.go, faults.go, draw.go, spoil.go
//	/_sandbox/nodes                         what arrived               nodes_api.go, nodes.go, stats.go, ledger.go
//	/_sandbox/orders                        makes waybills known       orders_api.go, waybill.go
//	/_sandbox/cancel                        cancels silently           cancel_api.go
//	/_sandbox/callbacks                     what carriers were asked   callbacks.go
//	/_sandbox/verify                        the console's URL check    verify.go
//	/                                       a page that says this      page.go
//
// # Faults
//
// One request meets at most one of the faults that are given as shares. Which of them leave the node applied:
//
//	applied      resets, hang, half_json, huge             the answer got lost on its way back
//	not applied  busy, errcodes, http_500, html,           refused, or the push never got behind the gateway
//	             redirect, resets_before, outage
//	not applied  empty, no_errcode                         so that a client that takes them for success loses a node
//
// A push is applied before its latency is waited for: a client that stops waiting has been heard.
//
// A node that is applied and answered with success may still show otherwise to the customer, by the faults of
// [TraceFaults]; an arrival says if it does. Single waybills get any of the faults by name ([WaybillFault]).
//
// # Reading
//
// What merchants read is what order/add and path/update left here. An order is its merchant's alone; a waybill that
// the sandbox was told of without an order is anybody's. openid may be left out of path/get and order/get, as their
// documents call it optional, but not be another customer's. Orders with delivery_id TEST and biz_id test_biz_id reach
// no carrier, unless one is set up under that name; test_update_order makes their nodes. Quotas are counted for each
// appid and call from when faults were set; without the fault quota_day the limit is 1,000,000 and nothing enforces it.
//
// # Orders
//
// order/add and order/cancel push add_waybill and cancel_waybill to the callback of one of [Options.Carriers] and
// check the answer in full: ask.go repeats, callback.go signs, sends and opens, seal.go encrypts, pushtext.go writes
// and replytext.go reads XML and JSON. The cryptography is the sandbox's own, too. An answer that can't be used, or
// that does not come within 5 s, makes the push come again, three times in all with the same content; then the
// merchant hears 9300502, and the mistake. The order stays asked: ordering again repeats the push with its number
// and Token. A ResultCode other than 0 is passed to the merchant as 9300501 and delivery_resultcode.
//
// A number from WeChat's range is known, with its Token, before the carrier is asked; one that the carrier makes, once
// it has answered: a push that is faster meets 40199. A cancelled order's waybill takes nodes as before; what the real
// one does is not public, and what is illegal is for the carrier to know. /_sandbox/cancel cancels without asking or telling
// the carrier, which finds out by asking about the order. Whether copies of a push share timestamp and
// nonce is not public either: they are new each time, or the same with the fault same_query.
//
// Where [Carrier.ExpressPath] is set, each node that is applied to such a waybill is told with add_express_path: the whole
// trace, as merchants' own mini programs hear it.
//
// # Memory
//
// Everything kept is bounded: the last [Options.MaxNodes] nodes, [Options.MaxWaybills] waybills and as many orders,
// [Options.MaxCallbacks] callbacks, the access_tokens of the last hours, and the last 1,000 refusals, for rid/get, with
// the beginnings of their bodies. Of an order only names and numbers are kept, but callbacks show what was sent,
// addresses among it. Counters are kept for ever.
//
// [Raw] is no simulator: it is the cheapest thing that answers, for measuring clients.
package sandbox
