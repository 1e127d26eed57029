package wechat

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func okServer(b *testing.B) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Write(okAnswer)
	}))
	b.Cleanup(s.Close)
	return s
}

var benchUpdate = PathUpdate{
	Token: "1234ABC234523451", WaybillID: "12345678901234567890",
	ActionTime: 1533052800, ActionType: 300002, ActionMsg: "丽影邓丽君【18666666666】正在派件",
}

func BenchmarkUpdatePath(b *testing.B) {
	c := NewClient(ClientOptions{BaseURL: okServer(b).URL, MaxConns: 2})
	b.Cleanup(c.CloseIdleConnections)
	b.ReportAllocs()
	for b.Loop() {
		if a, err := c.UpdatePath(b.Context(), "ACCESS", benchUpdate); err != nil || a.Errcode != 0 {
			b.Fatal(a, err)
		}
	}
}

// BenchmarkBareLoop is what net/http costs with the same server and body, and nothing of ours: no answer is read but to its end.
func BenchmarkBareLoop(b *testing.B) {
	url := okServer(b).URL + PathOfUpdatePath + "?access_token=ACCESS"
	body := benchUpdate.appendJSON(nil)
	transport := newTransport(2, defaultTimeout)
	transport.ResponseHeaderTimeout = 0
	b.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport, Timeout: defaultTimeout}
	b.ReportAllocs()
	for b.Loop() {
		req, _ := http.NewRequestWithContext(b.Context(), http.MethodPost, url, bytes.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

func BenchmarkBody(b *testing.B) {
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			benchUpdate.appendJSON(nil)
		}
	})
	b.Run("encoding/json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var buf bytes.Buffer
			enc := json.NewEncoder(&buf)
			enc.SetEscapeHTML(false)
			enc.Encode(benchUpdate)
		}
	})
}

func BenchmarkInterpret(b *testing.B) {
	r := reply{status: 200, body: []byte(`{"errcode":40199,"errmsg":"waybill not found rid: 5f1e2a3b-0c1d2e3f-4a5b6c7d"}`)}
	b.ReportAllocs()
	for b.Loop() {
		interpret(r)
	}
}
