package storetest

import (
	"fmt"
	"sync"
	"time"
)

var useTests = map[string]func(*fixture){
	"the same again is allowed, another content not": useOnce,
	"a use is forgotten when its time is over":       useForgotten,
	"a use is remembered for as long as any asked":   useLonger,
	"one of many at once":                            useAtOnce,
}

// use notes a request and expects whether it may be used; until is from now.
func (f *fixture) use(signature string, content byte, until time.Duration, want bool) {
	f.Helper()
	got, err := f.store.FirstUse(f.Context(), signature, [32]byte{content}, f.clock.Now().Add(until))
	if err != nil || got != want {
		f.Errorf("FirstUse(%s, %d): %v, %v; want %v", signature, content, got, err, want)
	}
}

func useOnce(f *fixture) {
	const window = 10 * time.Minute
	for range 3 {
		f.use("a", 1, window, true)
		f.use("a", 2, window, false)
		f.use("b", 2, window, true)
		f.use("b", 1, window, false)
		f.use("", 1, window, true)
		f.clock.advance(time.Minute)
		f.reopen()
	}
}

func useForgotten(f *fixture) {
	f.use("a", 1, time.Minute, true)
	f.use("b", 1, 2*time.Minute, true)
	f.pass(time.Minute)
	f.use("a", 2, time.Minute, false)
	f.pass(time.Minute + time.Millisecond)
	f.use("a", 2, time.Minute, true)
	f.use("b", 2, time.Minute, true)
	f.reopen()
	f.use("a", 1, time.Minute, false)
	f.use("b", 1, time.Minute, false)
}

func useLonger(f *fixture) {
	f.use("a", 1, time.Minute, true)
	f.use("a", 1, time.Hour, true)
	f.use("a", 1, time.Second, true)
	f.use("a", 2, 24*time.Hour, false)
	for range 2 {
		f.pass(29 * time.Minute)
		f.use("a", 2, time.Minute, false)
		f.reopen()
	}
	f.pass(3 * time.Minute)
	f.use("a", 2, time.Minute, true)
}

func useAtOnce(f *fixture) {
	for n := range 50 {
		allowed := make([]bool, 6)
		var wg sync.WaitGroup
		for i := range allowed {
			wg.Go(func() {
				var err error
				until := f.clock.Now().Add(time.Minute)
				if allowed[i], err = f.store.FirstUse(f.Context(), fmt.Sprint(n), [32]byte{byte(i / 2)}, until); err != nil {
					f.Errorf("FirstUse: %v", err)
				}
			})
		}
		wg.Wait()
		contents := 0
		for i := 0; i < len(allowed); i += 2 {
			if allowed[i] != allowed[i+1] {
				f.Errorf("of the same content one may be used and one not")
			}
			if allowed[i] {
				contents++
			}
		}
		if contents != 1 {
			f.Errorf("%d contents may be used under one signature", contents)
		}
	}
}
