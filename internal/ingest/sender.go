package ingest

import (
	"net/http"
	"unicode/utf8"

	"carrier/internal/problem"
	"carrier/internal/state"
)

const (
	// reservedSource is the source of the events that the service makes of WeChat's cancellations. Who could send
	// under that name could take their ids.
	reservedSource = "wechat"
	// maxSourceName is the length of the longest name, in bytes, as the configuration has it.
	maxSourceName = 64
	// msgIDHeader holds a message's id: NATS itself goes by it to drop what is published twice.
	msgIDHeader = "Nats-Msg-Id"
)

// senders are the sources that messages come from. It is not changed once made.
type senders struct {
	byName      map[string]*source // The configured ones.
	deliveryIDs []string
}

func newSenders(sources []Source, deliveryIDs []string) senders {
	all := senders{byName: make(map[string]*source, len(sources)), deliveryIDs: deliveryIDs}
	for i := range sources {
		s := newSource(&sources[i], deliveryIDs)
		s.msgID = true
		all.byName[s.name] = s
	}
	return all
}

// find gives the source of a name. One that is configured may send for its accounts only, any other for all: who may
// use a name is not decided here.
func (all *senders) find(name string) (*source, *problem.Problem) {
	if name == reservedSource {
		return nil, badSource(
			"The source name wechat is kept for WeChat's own cancellations. Send under another name.",
			"来源名称 wechat 保留给微信自身的取消事件。请使用其他名称发送。")
	}
	if s := all.byName[name]; s != nil {
		return s, nil
	}
	if !isSourceName(name) {
		return nil, badSource(
			"The name of the source must be 1 to 64 letters, digits, - and _, beginning with a letter or digit. Send under such a name.",
			"来源名称须为 1 至 64 个字母、数字、- 或 _，且以字母或数字开头。请使用符合要求的名称发送。")
	}
	return &source{name: name, label: OtherSource, known: all.deliveryIDs, msgID: true}, nil
}

func badSource(en, zh string) *problem.Problem {
	return problem.New(problem.InvalidRequest).Say(en, zh).With("verdict", state.Invalid)
}

// isSourceName tells whether the configuration would take name for a source.
func isSourceName(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case (c == '-' || c == '_') && i > 0:
		default:
			return false
		}
	}
	return name != "" && len(name) <= maxSourceName
}

// takeMsgID takes the id of an event that has none from a message's header. It returns what the id is called then.
func (w *wire) takeMsgID(errs *fieldErrors, h http.Header) string {
	switch values := h[msgIDHeader]; {
	case len(values) == 0:
		return "id"
	case len(values) > 1:
		errs.add(msgIDHeader, ruleRepeatedField)
	case !utf8.ValidString(values[0]):
		errs.add(msgIDHeader, rulePrintable)
	default:
		w.id, w.has = []byte(values[0]), w.has|fieldID
	}
	return msgIDHeader
}
