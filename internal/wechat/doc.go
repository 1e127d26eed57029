// Package wechat speaks the upstream's language: WeChat's Mini Program logistics API (物流助手).
//
//	errcode.go      what upstream's errcodes speak of ([Scope]) and what to do about them ([Meaning])
//	client.go       [Client]: one upstream host, its connections and its time-outs
//	exchange.go     one request and its answer; what went wrong is a [CallError]
//	answer.go       reading {"errcode","errmsg"} from a stranger
//	updatepath.go   updatePath
//	caller.go       [Caller]: calls by hand, most of which read, on behalf of a merchant or a delivery company; [RefusedError]
//	fields.go       reading the fields of their answers, tolerantly
//	getpath.go, getorder.go, batchgetorder.go, quota.go, clearquota.go, rid.go: these calls
//	document.go     what became of a call, as its document has it
//	cloud.go        the same requests and answers as a cloud function has them (云调用)
//	token.go        the two calls that give access_tokens
//	accesstoken.go  [AccessToken]: keeps one, ahead of its expiry, however many ask for it or complain about it
//	tokenfetch.go   how it is fetched: hosts, force and its limits, waits after failures; [TokenError]
//	platform.go     [Platform]: access_tokens of merchants that have authorised a third-party platform
//	authorize.go    how such a merchant is taken on: its authorization code for a refresh_token
//	redact.go       keeps access_tokens, secrets and Tokens out of errors and logs
//
// Three things are called token upstream. Here an access_token is an account's and goes into the query of a call, a
// Token is a waybill's and goes into updatePath's body. The third, of the message push, is not part of this package's
// calls.
//
// A new call that reads needs its request, the fields of its answer and a question with its name and path (see
// getpath.go): the exchange, the reading of errcodes and the redaction are the same for all.
package wechat
