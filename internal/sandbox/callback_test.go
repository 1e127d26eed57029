package sandbox

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// kinds counts callbacks by kind, and lists their mistakes.
func kinds(s *Sandbox) (map[string]int, string) {
	counts, mistakes := map[string]int{}, ""
	for _, c := range s.Callbacks() {
		counts[c.Kind]++
		mistakes += c.Mistake + "\n"
	}
	return counts, strings.TrimSpace(mistakes)
}

func TestCallbackFaults(t *testing.T) {
	tests := []struct {
		name     string
		faults   CallbackFaults
		wrong    func(f *fakeCarrier)
		errcode  int
		kinds    map[string]int
		mistakes string // "" none
		check    func(t *testing.T, f *fakeCarrier)
	}{
		{name: "none", kinds: map[string]int{kindPush: 1}},
		{name: "repeats", faults: CallbackFaults{Repeats: 1}, kinds: map[string]int{kindPush: 1, kindRepeat: 1}},
		{
			name: "a repeat that is answered differently", faults: CallbackFaults{Repeats: 1}, kinds: map[string]int{kindPush: 1, kindRepeat: 1},
			wrong: func(f *fakeCarrier) {
				f.change = func(_ *pushedEvent, a map[string]any) {
					a["WayBillID"] = fmt.Sprintf("OWN-%d", len(f.pushes("add_waybill")))
				}
			},
			mistakes: `the repeat is answered differently: ResultCode 0, waybill "OWN-2", 2 label parts after ResultCode 0, waybill "OWN-1"`,
		},
		{name: "concurrent_repeats", faults: CallbackFaults{ConcurrentRepeats: 1}, kinds: map[string]int{kindPush: 3}},
		{
			name: "copies at once make two waybills", faults: CallbackFaults{ConcurrentRepeats: 1}, kinds: map[string]int{kindPush: 3},
			wrong: func(f *fakeCarrier) {
				var mu sync.Mutex
				n := 0
				f.change = func(_ *pushedEvent, a map[string]any) {
					mu.Lock()
					defer mu.Unlock()
					n++
					a["WayBillID"] = fmt.Sprintf("OWN-%d", n)
				}
			},
			mistakes: "answered differently",
		},
		{name: "drop_answer", faults: CallbackFaults{DropAnswer: 1}, errcode: codeCarrierFailed, kinds: map[string]int{kindPush: 3}, mistakes: errDropped.Error()},
		{
			name: "drop_answer of copies at once", faults: CallbackFaults{DropAnswer: 1, ConcurrentRepeats: 1}, errcode: codeCarrierFailed,
			kinds: map[string]int{kindPush: 3}, mistakes: errDropped.Error(),
		},
		{
			name: "same_query", faults: CallbackFaults{SameQuery: 1, DropAnswer: 1}, errcode: codeCarrierFailed, kinds: map[string]int{kindPush: 3},
			mistakes: errDropped.Error(),
			check: func(t *testing.T, f *fakeCarrier) {
				all := f.pushes("add_waybill")
				if all[0].query["nonce"] != all[2].query["nonce"] || all[0].query["msg_signature"] != all[2].query["msg_signature"] || all[0].body != all[2].body {
					t.Error("the copies differ")
				}
			},
		},
		{
			name: "previous_key", faults: CallbackFaults{PreviousKey: 1}, kinds: map[string]int{kindPush: 1},
			check: func(t *testing.T, f *fakeCarrier) {
				if got := f.pushes("add_waybill")[0].key; got != f.PreviousEncodingAESKey {
					t.Error("pushed with the current key")
				}
			},
		},
		{
			name: "previous_key answered with the current one", faults: CallbackFaults{PreviousKey: 1}, errcode: codeCarrierFailed, kinds: map[string]int{kindPush: 3},
			wrong: func(f *fakeCarrier) {
				f.seal = func(plain []byte, e *pushedEvent) []byte { return f.sealed(plain, e, f.EncodingAESKey, nil) }
			},
			mistakes: "can't be decrypted",
		},
		{
			name: "wrong_signature", faults: CallbackFaults{WrongSignature: 1}, kinds: map[string]int{kindForgedSignature: 1, kindPush: 1},
			check: func(t *testing.T, f *fakeCarrier) {
				if f.refused != 1 || len(f.pushes("add_waybill")) != 1 {
					t.Errorf("%d refused, %d taken, want 1 each", f.refused, len(f.pushes("add_waybill")))
				}
			},
		},
		{
			name: "plain_in_safe", faults: CallbackFaults{PlainInSafe: 1}, kinds: map[string]int{kindForgedPlain: 1, kindPush: 1},
			check: func(t *testing.T, f *fakeCarrier) {
				if f.refused != 1 {
					t.Errorf("%d refused, want 1", f.refused)
				}
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFake(t, formatXML, modeSafe)
			f.OwnWaybillIDs = true
			if test.wrong != nil {
				test.wrong(f)
			}
			s, merchant := f.box(Options{Seed: 1})
			setFaults(t, s, Faults{Callback: test.faults})
			if got := order(t, s, addURL, merchant, orderBody("order-1")); got.Errcode != test.errcode {
				t.Errorf("order/add = %+v, want errcode %d", got, test.errcode)
			}
			counts, mistakes := kinds(s)
			if fmt.Sprint(counts) != fmt.Sprint(test.kinds) || (mistakes == "") != (test.mistakes == "") || !strings.Contains(mistakes, test.mistakes) {
				t.Errorf("callbacks %v, want %v; mistakes %q, want %q", counts, test.kinds, mistakes, test.mistakes)
			}
			if test.check != nil {
				test.check(t, f)
			}
		})
	}
}

// TestForgedPushTaken: a carrier that takes a forged push is found out, and the order goes on.
func TestForgedPushTaken(t *testing.T) {
	everyMode(t, func(t *testing.T, format, mode string) {
		f := newFake(t, format, mode)
		careless := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			f.ServeHTTP(&okWriter{w}, r)
		})
		s := New(Options{Carriers: []Carrier{f.Carrier}, CallbackTransport: memory{careless}})
		setFaults(t, s, Faults{Callback: CallbackFaults{WrongSignature: 1, PlainInSafe: 1}})
		if got := order(t, s, addURL, testToken(t, s, "wxmerchant"), orderBody("order-1")); got.Errcode != 0 {
			t.Errorf("order/add = %+v", got)
		}
		want := uint64(2)
		if mode == modePlain {
			want = 1
		}
		if got := s.Stats().Callbacks; got.Forged != want || got.Mistakes != want || got.Sent != want+1 {
			t.Errorf("stats %+v, want %d forged and taken", got, want)
		}
	})
}

// okWriter answers 200 whatever was meant.
type okWriter struct{ http.ResponseWriter }

func (w *okWriter) WriteHeader(int) { w.ResponseWriter.WriteHeader(http.StatusOK) }

func TestCancelRepeats(t *testing.T) {
	tests := []struct {
		name    string
		faults  CallbackFaults
		codes   []int // of the pushes of cancel_waybill, in turn
		errcode int
		mistake bool
	}{
		{"cancelled already", CallbackFaults{Repeats: 1}, []int{0, 30003}, 0, false},
		{"the same again", CallbackFaults{Repeats: 1}, []int{30002, 30002}, codeCarrierRefused, false},
		{"picked up after it was cancelled", CallbackFaults{Repeats: 1}, []int{0, 30002}, 0, true},
		{"cancelled after it was picked up", CallbackFaults{Repeats: 1}, []int{30002, 0}, codeCarrierRefused, true},
		{"at once, one of them did it", CallbackFaults{ConcurrentRepeats: 1}, []int{30003, 0, 30003}, 0, false},
		{"at once, both", CallbackFaults{ConcurrentRepeats: 1}, []int{30002, 0, 30002}, 0, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFake(t, formatJSON, modeSafe)
			s, merchant := f.box(Options{})
			id := order(t, s, addURL, merchant, orderBody("order-1")).WaybillID
			var mu sync.Mutex
			n := 0
			f.change = func(_ *pushedEvent, a map[string]any) {
				mu.Lock()
				defer mu.Unlock()
				a["ResultCode"] = test.codes[n]
				n++
			}
			setFaults(t, s, Faults{Callback: test.faults})
			got := order(t, s, cancelURL, merchant, cancelBody("order-1", id))
			if _, mistakes := kinds(s); got.Errcode != test.errcode || (mistakes != "") != test.mistake || n != len(test.codes) {
				t.Errorf("%+v after %d pushes, mistakes %q", got, n, mistakes)
			}
		})
	}
}

func TestCallbackDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, formatJSON, modeSafe)
		s, merchant := f.box(Options{})
		setFaults(t, s, Faults{Callback: CallbackFaults{Delay: Duration(time.Minute)}})
		begun := time.Now()
		if got := order(t, s, addURL, merchant, orderBody("order-1")); got.Errcode != 0 || time.Since(begun) != time.Minute {
			t.Errorf("%+v after %v", got, time.Since(begun))
		}
	})
}

func TestOutageReachesOrders(t *testing.T) {
	f := newFake(t, formatJSON, modeSafe)
	s, merchant := f.box(Options{})
	setFaults(t, s, Faults{Outage: true})
	for _, url := range []string{addURL, cancelURL} {
		func() {
			defer func() {
				if recover() != http.ErrAbortHandler {
					t.Errorf("%s was answered", url)
				}
			}()
			order(t, s, url, merchant, orderBody("order-1"))
		}()
	}
}

// TestSameOrderAtOnce: one of many requests with an order_id is taken, and the carrier hears of one.
func TestSameOrderAtOnce(t *testing.T) {
	f := newFake(t, formatXML, modeSafe)
	s, merchant := f.box(Options{})
	var wg sync.WaitGroup
	codes := make([]int, 8)
	for i := range codes {
		wg.Go(func() { codes[i] = order(t, s, addURL, merchant, orderBody("order-1")).Errcode })
	}
	wg.Wait()
	taken := 0
	for _, code := range codes {
		switch code {
		case 0:
			taken++
		case codeOrderRepeated:
		default:
			t.Errorf("errcode %d", code)
		}
	}
	if taken != 1 || len(f.pushes("add_waybill")) != 1 {
		t.Errorf("%d taken, %d pushes, want 1 each", taken, len(f.pushes("add_waybill")))
	}
}

// TestCallbacksHoldNoSecrets looks for what must be neither in the list of callbacks nor in a log.
func TestCallbacksHoldNoSecrets(t *testing.T) {
	everyMode(t, func(t *testing.T, format, mode string) {
		var out bytes.Buffer
		f := newFake(t, format, mode)
		f.change = func(e *pushedEvent, a map[string]any) {
			a["BizPwd"] = e.BizPwd // A carrier that says everything it knows, and gets it wrong.
			a["ResultMsg"] = "token " + e.Token + " password " + e.BizPwd
			a["WaybillData"] = e.Token
			if len(f.pushes("add_waybill")) > 1 {
				a["ResultCode"] = e.Token + e.BizPwd
			}
		}
		s, merchant := f.box(Options{Logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		setFaults(t, s, Faults{Callback: CallbackFaults{WrongSignature: 1, PlainInSafe: 1}})
		got := order(t, s, addURL, merchant, orderBody("order-1"))
		if got.Errcode != codeCarrierFailed {
			t.Fatalf("order/add = %+v", got)
		}
		var list struct {
			Callbacks []Callback `json:"callbacks"`
			Next      uint64     `json:"next"`
		}
		own(t, s, http.MethodGet, "/_sandbox/callbacks?order_id=order-1", "", http.StatusOK, &list)
		if n := len(list.Callbacks); n < 4 || list.Next != uint64(n) {
			t.Errorf("%d callbacks, next %d", n, list.Next)
		}
		seen := out.String() + fmt.Sprintf("%+v %v %#v", list, f.Carrier, f.Carrier) + got.Errmsg
		e := f.pushes("add_waybill")[0]
		for _, secret := range []string{e.Token, e.BizPwd, "pass&amp;word-of-biz-1", `pass\u0026word`, merchant, testSigningToken, otherAESKey} {
			if secret != "" && strings.Contains(seen, secret) {
				t.Errorf("%q is shown:\n%s", secret, seen)
			}
		}
		last := list.Callbacks[len(list.Callbacks)-1]
		for _, want := range []string{e.Token[:4] + "***(136)", "add_waybill", "order-1"} {
			if !strings.Contains(last.Sent, want) {
				t.Errorf("sent, as it is shown, lacks %q: %s", want, last.Sent)
			}
		}
		if !strings.Contains(last.Answer, "ResultMsg") || last.Status != 200 || last.WaybillID != e.WayBillID {
			t.Errorf("callback %+v", last)
		}
	})
}

func TestCallbacksAreBounded(t *testing.T) {
	f := newFake(t, formatJSON, modePlain)
	s, merchant := f.box(Options{MaxCallbacks: 3, MaxWaybills: 2})
	for i := range 5 {
		order(t, s, addURL, merchant, orderBody(fmt.Sprint("order-", i)))
	}
	if list := s.Callbacks(); len(list) != 3 || list[0].N != 3 || list[2].OrderID != "order-4" {
		t.Errorf("callbacks %+v", list)
	}
	if list := s.MerchantOrders(); len(list) != 2 || list[0].OrderID != "order-3" || len(s.orders.numbers) != 2 {
		t.Errorf("orders %+v, %d numbers", list, len(s.orders.numbers))
	}
	var page struct{ Orders []MerchantOrder }
	own(t, s, http.MethodGet, "/_sandbox/orders?order_id=order-4", "", http.StatusOK, &page)
	if len(page.Orders) != 1 || page.Orders[0].State != stateTaken {
		t.Errorf("orders %+v", page)
	}
	var list struct{ Callbacks []Callback }
	own(t, s, http.MethodGet, "/_sandbox/callbacks?since=3&limit=1", "", http.StatusOK, &list)
	if len(list.Callbacks) != 1 || list.Callbacks[0].N != 4 || *list.Callbacks[0].ResultCode != 0 {
		t.Errorf("page %+v", list)
	}
	s.Clear()
	if n := len(s.Callbacks()); n != 0 || s.Stats().Callbacks != (CallbackStats{}) || len(s.MerchantOrders()) != 2 {
		t.Errorf("after Clear: %d callbacks, %+v", n, s.Stats().Callbacks)
	}
}

func TestVerify(t *testing.T) {
	echo := func(text string, status int) func(http.ResponseWriter, *http.Request, *pushedEvent) bool {
		return func(w http.ResponseWriter, r *http.Request, _ *pushedEvent) bool {
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, text, r.URL.Query().Get("echostr"))
			return true
		}
	}
	tests := []struct {
		name, carrier string
		raw           func(http.ResponseWriter, *http.Request, *pushedEvent) bool
		status        int
		says          string
	}{
		{"right", "SF", nil, 200, ""},
		{"unknown", "YD", nil, 404, `no carrier \"YD\"`},
		{"quoted", "SF", echo("%q", 200), 502, "not the echostr"},
		{"with a line end", "SF", echo("%s\n", 200), 502, "not the echostr"},
		{"another status", "SF", echo("%s", 201), 502, "status 201"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFake(t, formatXML, modeSafe)
			f.raw = test.raw
			s, _ := f.box(Options{})
			var got map[string]any
			own(t, s, http.MethodPost, "/_sandbox/verify?carrier="+test.carrier, "", test.status, &got)
			if !strings.Contains(string(encode(got)), test.says) || (got["verified"] == true) != (test.status == 200) {
				t.Errorf("answer %v, want %q", got, test.says)
			}
			if log := s.Callbacks(); test.status != 404 && (len(log) != 1 || log[0].Kind != kindVerify || (log[0].Mistake == "") != (test.status == 200)) {
				t.Errorf("callbacks %+v", log)
			}
		})
	}
}

// TestCallbackOverTheNetwork uses real connections, and leaves none open.
func TestCallbackOverTheNetwork(t *testing.T) {
	f := newFake(t, formatXML, modeSafe)
	_, server := farCarrier(t, f)
	f.URL = server + "?x=1"
	s := New(Options{Carriers: []Carrier{f.Carrier}})
	if err := s.Verify(t.Context(), "SF"); err != nil {
		t.Errorf("verify: %v", err)
	}
	if got := order(t, s, addURL, testToken(t, s, "wxmerchant"), orderBody("order-1")); got.Errcode != 0 {
		t.Errorf("order/add = %+v", got)
	}
	f.URL = "http://127.0.0.1:1/?x=1"
	s = New(Options{Carriers: []Carrier{f.Carrier}})
	got := order(t, s, addURL, testToken(t, s, "wxmerchant"), orderBody("order-1"))
	if got.Errcode != codeCarrierFailed || strings.Contains(got.Errmsg, "signature") || !strings.Contains(got.Errmsg, "connect") {
		t.Errorf("nobody there: %+v", got)
	}
}
