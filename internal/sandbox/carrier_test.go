package sandbox

import (
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

// farCarrier serves a carrier over real connections.
func farCarrier(t *testing.T, f *fakeCarrier) (*httptest.Server, string) {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return server, server.URL
}

func TestReadCarriers(t *testing.T) {
	const key = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopq"
	good := `[{"delivery_id":"SF","appid":"wx1","url":"http://127.0.0.1:8080/wechat/SF/callback","token":"secretToken","encoding_aes_key":"` + key + `"}]`
	list, err := ReadCarriers(strings.NewReader(good))
	if want := []Carrier{{DeliveryID: "SF", AppID: "wx1", URL: "http://127.0.0.1:8080/wechat/SF/callback", Token: "secretToken", EncodingAESKey: key}}; err != nil || !reflect.DeepEqual(list, want) {
		t.Fatalf("ReadCarriers = %v, %v", list, err)
	}
	c, err := newCarrier(list[0])
	if err != nil || c.Mode != modeSafe || c.Format != formatXML || len(c.UserName) != len("gh_")+12 || len(c.key) != 32 || c.previous != nil {
		t.Errorf("newCarrier: %v, mode %s, format %s, user %s", err, c.Mode, c.Format, c.UserName)
	}
	tests := []struct{ name, text, want string }{
		{"nothing", "", "the body is empty"},
		{"no array", "{}", "JSON array"},
		{"an unknown field", `[{"aes":"x"}]`, `unknown field "aes"; there are appid`},
		{"nothing in it", "[{}]", "carrier 0: delivery_id is missing"},
		{"no token", strings.Replace(good, "secretToken", "", 1), "token is missing"},
		{"a token that no console takes", strings.Replace(good, "secretToken", "secretToken-1", 1), "token: the console takes"},
		{"a wrong address", strings.Replace(good, "http:", "ftp:", 1), "url: give"},
		{"a password in the address", strings.Replace(good, "http://", "http://user:secretToken@", 1), "url: give"},
		{"a short key", strings.Replace(good, key, key[:42], 1), "encoding_aes_key: it has 42 characters"},
		{"a wrong key", strings.Replace(good, key, "?"+key[1:], 1), "encoding_aes_key: it holds"},
		{"a wrong format", strings.Replace(good, `"appid"`, `"format":"yaml","appid"`, 1), "format is"},
		{"a wrong mode", strings.Replace(good, `"appid"`, `"mode":"aes","appid"`, 1), "mode is"},
		{"safe without a key", strings.Replace(good, `"encoding_aes_key":"`+key+`"`, `"mode":"safe"`, 1), "mode safe wants an encoding_aes_key"},
		{"twice", strings.TrimSuffix(good, "]") + "," + good[1:], "twice"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := ReadCarriers(strings.NewReader(test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("%v, want an error with %q", err, test.want)
			}
			for _, secret := range []string{"secretToken", key[1:42]} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error shows a secret: %v", err)
				}
			}
		})
	}
}
