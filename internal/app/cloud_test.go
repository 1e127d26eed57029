package app_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"

	"carrier/internal/app/apptest"
)

// TestCloudContainer: in a cloud container pushes carry the access_token of its file, as it is at the moment: when the cloud
// has replaced it, the refused push goes out with the new one.
func TestCloudContainer(t *testing.T) {
	file := writeFile(t, "first")
	var mu sync.Mutex
	var heard []string
	upstream := apptest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/cgi-bin/express/delivery/path/update" {
			_, _ = io.WriteString(w, `{"errcode":48001,"errmsg":"api unauthorized"}`)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, r.URL.RawQuery)
		if len(heard) == 2 {
			if err := os.WriteFile(file, []byte("second\n"), 0o600); err != nil {
				t.Error(err)
			}
			_, _ = fmt.Fprint(w, `{"errcode":40001,"errmsg":"invalid credential"}`)
			return
		}
		_, _ = fmt.Fprint(w, `{"errcode":0,"errmsg":"ok"}`)
	}))
	s := start(t, apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: upstream, TokenMode: "none", CloudToken: file}))
	for i, action := range []int{100001, 200001} {
		s.Accept(t, scan("W1", i, action))
		s.Settled(t, soon)
	}
	mu.Lock()
	defer mu.Unlock()
	want := []string{"cloudbase_access_token=first", "cloudbase_access_token=first", "cloudbase_access_token=second"}
	if !slices.Equal(heard, want) {
		t.Errorf("pushes came with %q, want %q", heard, want)
	}
}
