package spans

import "go.opentelemetry.io/otel/attribute"

// Attributes of spans. No others are used: what is not here can't get into a trace. Those without "carrier." are
// OpenTelemetry's own (Semantic Conventions 1.37).
const (
	keySource     = attribute.Key("carrier.source")
	keyVerdict    = attribute.Key("carrier.verdict")
	keyReason     = attribute.Key("carrier.reason")
	keyEvents     = attribute.Key("carrier.events")
	keySeq        = attribute.Key("carrier.seq")
	keyEventID    = attribute.Key("carrier.event_id")
	keyDeliveryID = attribute.Key("carrier.delivery_id")
	keyWaybillID  = attribute.Key("carrier.waybill_id")
	keyActionType = attribute.Key("carrier.action_type")
	keyAttempt    = attribute.Key("carrier.attempt")
	keyReplay     = attribute.Key("carrier.replay")
	keyStatus     = attribute.Key("carrier.push_status")
	keyErrcode    = attribute.Key("wechat.errcode")
	keyScope      = attribute.Key("wechat.scope")
	keyRID        = attribute.Key("wechat.rid")
	keyUnknown    = attribute.Key("wechat.outcome_unknown")
	keyEvent      = attribute.Key("wechat.event")
	keyResultCode = attribute.Key("wechat.result_code")
	keyResult     = attribute.Key("carrier.result")
	keyQuestion   = attribute.Key("carrier.question_id")
	keyMerchant   = attribute.Key("carrier.merchant")
	keyAppID      = attribute.Key("wechat.appid")
	keyForced     = attribute.Key("wechat.force_refresh")
	keySubject    = attribute.Key("messaging.destination.name")
	keyHost       = attribute.Key("server.address")
	keyStatusCode = attribute.Key("http.response.status_code")
)

// Source is who sent events: a name of the configuration, or "other".
func Source(name string) attribute.KeyValue { return keySource.String(name) }

// Verdict is what became of an event; Reason why, in one word.
func Verdict(word string) attribute.KeyValue { return keyVerdict.String(word) }

// Reason is why an event has its verdict, in one word.
func Reason(word string) attribute.KeyValue { return keyReason.String(word) }

// Events is how many events there were.
func Events(n int) attribute.KeyValue { return keyEvents.Int(n) }

// Seq is an event's number.
func Seq(n uint64) attribute.KeyValue { return keySeq.Int64(int64(n)) }

// EventID is an event's id, as its sender has it.
func EventID(id string) attribute.KeyValue { return keyEventID.String(id) }

// DeliveryID is an account.
func DeliveryID(id string) attribute.KeyValue { return keyDeliveryID.String(id) }

// WaybillID is a waybill's number.
func WaybillID(id string) attribute.KeyValue { return keyWaybillID.String(id) }

// ActionType is what happened to the parcel: one of the nine codes.
func ActionType(code int) attribute.KeyValue { return keyActionType.Int(code) }

// Attempt is the number of an attempt of a push among those that count, from 1.
func Attempt(n int) attribute.KeyValue { return keyAttempt.Int(n) }

// Replay is the number of the replay that an attempt comes of.
func Replay(n uint64) attribute.KeyValue { return keyReplay.Int64(int64(n)) }

// PushStatus is where an attempt leaves its push.
func PushStatus(word string) attribute.KeyValue { return keyStatus.String(word) }

// Errcode is what WeChat answered.
func Errcode(code int) attribute.KeyValue { return keyErrcode.Int(code) }

// Scope is what an answer speaks of, in one word; "ok" is success.
func Scope(word string) attribute.KeyValue { return keyScope.String(word) }

// RID is WeChat's request id, for its support.
func RID(id string) attribute.KeyValue { return keyRID.String(id) }

// Unknown says that a request was sent and no answer came.
func Unknown() attribute.KeyValue { return keyUnknown.Bool(true) }

// Event is the kind of one of WeChat's own pushes, or "other".
func Event(word string) attribute.KeyValue { return keyEvent.String(word) }

// ResultCode is what one of WeChat's own pushes was answered.
func ResultCode(code int) attribute.KeyValue { return keyResultCode.Int(code) }

// Result is what came of it, in one word.
func Result(word string) attribute.KeyValue { return keyResult.String(word) }

// Question is the id of a question to the dispatch system.
func Question(id string) attribute.KeyValue { return keyQuestion.String(id) }

// Merchant is a merchant of the configuration.
func Merchant(name string) attribute.KeyValue { return keyMerchant.String(name) }

// AppID is whose access_token is fetched: a mini program's, or a platform's.
func AppID(id string) attribute.KeyValue { return keyAppID.String(id) }

// Forced says that WeChat was asked for a new access_token in place of one that is still good by its clock.
func Forced() attribute.KeyValue { return keyForced.Bool(true) }

// Subject is where a message goes on NATS.
func Subject(name string) attribute.KeyValue { return keySubject.String(name) }

// Host is the host that was asked.
func Host(name string) attribute.KeyValue { return keyHost.String(name) }

// StatusCode is the status that a request was answered with.
func StatusCode(code int) attribute.KeyValue { return keyStatusCode.Int(code) }
