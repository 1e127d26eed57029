package main

import (
	"fmt"
	"strings"
	"testing"

	"carrier/internal/sandbox"
)

func TestSandboxCarriers(t *testing.T) {
	key, previous := strings.Repeat("k", 43), strings.Repeat("p", 43)
	text := `[{"delivery_id":"YD","appid":"wxyd","url":"http://yd.test/","token":"tokenOfYD","format":"json"}]`
	file := fileOf(t, "carriers.json", text)
	w := &world{env: []string{
		"CARRIER_SANDBOX_SF_2_TOKEN=tokenOfSF", "CARRIER_SANDBOX_SF_2_ENCODING_AES_KEY=" + key, "CARRIER_SANDBOX_SF_2_APPID=wxsf",
		"CARRIER_SANDBOX_SF_2_PREVIOUS_ENCODING_AES_KEY=" + previous, "CARRIER_SANDBOX_SF_2_FORMAT=json", "CARRIER_SANDBOX_SF_2_MODE=compat",
	}}
	tests := []struct {
		name    string
		command sandboxCommand
		want    []sandbox.Carrier
		says    string
	}{
		{name: "none"},
		{
			"both", sandboxCommand{Carriers: file, Carrier: map[string]string{"sf-2": "http://sf.test/", "YD": "http://other.test/"}},
			[]sandbox.Carrier{
				{DeliveryID: "YD", AppID: "wxyd", URL: "http://other.test/", Token: "tokenOfYD", Format: "json"},
				{
					DeliveryID: "sf-2", AppID: "wxsf", URL: "http://sf.test/", Token: "tokenOfSF", EncodingAESKey: key,
					PreviousEncodingAESKey: previous, Format: "json", Mode: "compat",
				},
			}, "",
		},
		{"no secrets", sandboxCommand{Carrier: map[string]string{"SF": "http://sf.test/"}}, nil, "carrier SF: token is missing; secrets come from"},
		{"no address", sandboxCommand{Carrier: map[string]string{"sf-2": ""}}, nil, "carrier sf-2: url: give"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := test.command.carriers(w)
			if test.says != "" {
				if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "tokenOf") {
					t.Fatalf("%v, want an error with %q", err, test.says)
				}
				return
			}
			// The type prints no secrets, so each field is compared by itself.
			if err != nil || len(got) != len(test.want) {
				t.Fatalf("%d carriers, %v; want %d", len(got), err, len(test.want))
			}
			for i, c := range got {
				type plain sandbox.Carrier
				if a, b := fmt.Sprintf("%+v", plain(c)), fmt.Sprintf("%+v", plain(test.want[i])); a != b {
					t.Errorf("carrier %d is\n%s, want\n%s", i, a, b)
				}
			}
		})
	}
}
