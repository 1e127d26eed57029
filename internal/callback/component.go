package callback

import (
	"fmt"
	"log/slog"
	"strings"
)

// What a push to a third-party platform is about. Source: WeChat 第三方平台, 验证票据 and 授权变更通知推送.
const (
	VerifyTicketPushed   = "component_verify_ticket" // Every 10 minutes.
	AuthorizationGiven   = "authorized"
	AuthorizationUpdated = "updateauthorized"
	AuthorizationEnded   = "unauthorized"
)

// ComponentPush is a push to a third-party platform (授权事件接收URL): it has an InfoType where others have an Event, and
// is to be answered with [Success]. It prints without its ticket and its code.
type ComponentPush struct {
	InfoType   string // Lower case; one of the above, or another.
	AppID      string // The platform's, component_appid.
	CreateTime int64  // Unix seconds.

	ComponentVerifyTicket Secret // Of VerifyTicketPushed.
	AuthorizerAppID       string // Of the others: the merchant's.
	AuthorizationCode     Secret // Of AuthorizationGiven and AuthorizationUpdated; empty if WeChat left it out.
}

// Component reads a message as a push to a third-party platform. Errors are always *[Fault].
func (m *Message) Component() (*ComponentPush, error) {
	f := newFields(m.inner.body)
	p := &ComponentPush{
		InfoType: strings.ToLower(f.need("InfoType")), AppID: f.need("AppId"), CreateTime: f.integer("CreateTime"),
		AuthorizerAppID: f.text("AuthorizerAppid"),
	}
	if p.InfoType == VerifyTicketPushed {
		p.ComponentVerifyTicket = NewSecret(f.need("ComponentVerifyTicket"))
	}
	if p.InfoType == AuthorizationGiven || p.InfoType == AuthorizationUpdated {
		p.AuthorizationCode = NewSecret(f.text("AuthorizationCode"))
	}
	if fault := f.first(); fault != nil {
		return nil, fault
	}
	return p, nil
}

// String tells what it is about.
func (p *ComponentPush) String() string {
	return fmt.Sprintf("%.64q of %.64q", p.InfoType, p.AuthorizerAppID)
}

// LogValue is what logs may hold of it.
func (p *ComponentPush) LogValue() slog.Value { return slog.StringValue(p.String()) }
