package callback

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// componentPush seals a push to a third-party platform as WeChat does: AppId stands where other pushes have ToUserName.
func componentPush(t *testing.T, message string) (*Message, error) {
	t.Helper()
	r := envelope(XML, layoutOf(message).encrypt(t, testKey))
	r.body = strings.NewReplacer("<ToUserName>", "<AppId>", "</ToUserName>", "</AppId>").Replace(r.body)
	if !strings.HasPrefix(r.body, "<xml><AppId>") {
		t.Fatalf("the envelope is %s", r.body)
	}
	return r.open(encryptedKeys(t))
}

func TestComponentPush(t *testing.T) {
	const head = "<AppId>wxplatform</AppId><CreateTime>1413192605</CreateTime>"
	tests := []struct {
		name, message string
		want          ComponentPush
		ticket, code  string
		fault         string // The field that is wrong.
	}{
		{name: "a ticket", message: head + "<InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>ticket@@@CANARY</ComponentVerifyTicket>",
			want: ComponentPush{InfoType: VerifyTicketPushed, AppID: "wxplatform", CreateTime: 1413192605}, ticket: "ticket@@@CANARY"},
		{name: "an authorisation", message: head + "<InfoType>Authorized</InfoType><AuthorizerAppid>wxshop</AuthorizerAppid><AuthorizationCode>CANARY</AuthorizationCode>",
			want: ComponentPush{InfoType: AuthorizationGiven, AppID: "wxplatform", CreateTime: 1413192605, AuthorizerAppID: "wxshop"}, code: "CANARY"},
		{name: "its end", message: head + "<InfoType>unauthorized</InfoType><AuthorizerAppid>wxshop</AuthorizerAppid>",
			want: ComponentPush{InfoType: AuthorizationEnded, AppID: "wxplatform", CreateTime: 1413192605, AuthorizerAppID: "wxshop"}},
		{name: "of another kind", message: head + "<InfoType>notify_third_fasteregister</InfoType>",
			want: ComponentPush{InfoType: "notify_third_fasteregister", AppID: "wxplatform", CreateTime: 1413192605}},
		{name: "a ticket without one", message: head + "<InfoType>component_verify_ticket</InfoType>", fault: "ComponentVerifyTicket"},
		{name: "two tickets", message: head + "<InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>a</ComponentVerifyTicket><ComponentVerifyTicket>b</ComponentVerifyTicket>",
			fault: "ComponentVerifyTicket"},
		{name: "of nothing", message: head, fault: "InfoType"},
		{name: "of no platform", message: "<InfoType>unauthorized</InfoType>", fault: "AppId"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := componentPush(t, "<xml>"+tt.message+"</xml>")
			if err != nil || m.Mode != Safe {
				t.Fatalf("%v, %v", m, err)
			}
			got, err := m.Component()
			if tt.fault != "" {
				if fault, ok := errors.AsType[*Fault](err); !ok || fault.Field != tt.fault || got != nil {
					t.Fatalf("%v, %v; want a fault of %s", got, err, tt.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			ticket, code := got.ComponentVerifyTicket.Reveal(), got.AuthorizationCode.Reveal()
			for _, text := range []string{got.String(), fmt.Sprintf("%v %+v %#v", got, *got, got), got.LogValue().String()} {
				if strings.Contains(text, "CANARY") {
					t.Errorf("a secret shows: %s", text)
				}
			}
			got.ComponentVerifyTicket, got.AuthorizationCode = Secret{}, Secret{}
			if *got != tt.want || ticket != tt.ticket || code != tt.code {
				t.Errorf("%+v with %q and %q; want %+v with %q and %q", got, ticket, code, tt.want, tt.ticket, tt.code)
			}
		})
	}
}
