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
//	/cgi-bin/express/delivery/path/update   one node of one waybill    update.go
//	/_sandbox/faults                        what goes wrong            faults_api.go, faults.go, draw.go, spoil.go
//	/_sandbox/nodes                         what arrived               nodes_api.go, nodes.go, stats.go, ledger.go
//	/_sandbox/orders                        makes waybills known       orders_api.go, waybill.go
//	/                                       a page that says this      page.go
//
// # Faults
//
// One request meets at most one of the faults that are given as shares. Which of them leave the node applied:
//
//	applied      resets, hang, half_json, huge             the answer got lost on its way back
//	not applied  busy, errcodes, waybills, http_500,       refused, or the push never got behind the gateway
//	             html, redirect, resets_before, outage
//	not applied  empty, no_errcode                         so that a client that takes them for success loses a node
//
// A push is applied before its latency is waited for: a client that stops waiting has been heard.
//
// # Memory
//
// Everything kept is bounded: the last [Options.MaxNodes] nodes, [Options.MaxWaybills] waybills, and the
// access_tokens of the last hours. Counters are kept for ever.
//
// [Raw] is no simulator: it is the cheapest thing that answers, for measuring clients.
package sandbox
