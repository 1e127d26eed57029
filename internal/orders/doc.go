// Package orders is the service's side of WeChat's own pushes (WeChat 物流助手, events pushed to the delivery company):
// a merchant orders in WeChat, and the order's Token arrives and is kept; a merchant cancels, and the waybill is
// cancelled in one line with its scans. Package callback speaks the language (signatures, encryption, XML and JSON);
// this one decides, keeps, and asks the dispatch system.
//
//	add_waybill       Token and order durable, then the answer; a repeat gets the same answer    add.go
//	cancel_waybill    decided by the state machine, after the dispatch system agreed             cancel.go
//	check_biz         passed on to the dispatch system                                           relay.go
//	get_quota         likewise                                                                   relay.go
//	add_express_path  what the customer sees is kept, then "success"                             shown.go
//	any other         answered "success", and nothing is kept                                    handler.go
//
// # What is promised
//
// Nothing is answered that is not durable. WeChat gives up after 5 s and sends again, three times in all; so every
// request is answered within 4 s, and when the store has trouble the answer is an error, never a "success": the push
// comes again. Work that was begun is finished even if nobody waits for its answer any more, so that the next sending
// finds it done. Requests that come at the same time for the same order are one: the dispatch system is asked once,
// and all get what it said.
//
// # What is kept
//
// Of an order: its ids, the waybill, the merchant's mini program, what was answered, and the Token. The merchant's
// password (BizPwd), addresses and phone numbers go to the dispatch system and nowhere else: not into the store, not
// into the log, not into an error.
//
// Of a waybill's trace as customers see it, which WeChat tells merchants' own mini programs (add_express_path): the newest
// version, texts and all, whoever carries the parcel. Strangers can't fill the store with it, as it must be signed; what a
// waybill may hold is bounded (store.Shown), and what belongs to no event or order goes when it is as old as the retention.
package orders
