package storetest

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"time"

	"carrier/internal/store"
)

// letters lists all pages of dead letters.
func (f *fixture) letters(limit int) (all []store.DeadLetter) {
	f.Helper()
	before := uint64(0)
	for range 1000 {
		page, err := f.store.DeadLetters(f.Context(), before, limit)
		if err != nil {
			f.Fatalf("DeadLetters: %v", err)
		}
		if len(page.Items) > limit {
			f.Errorf("a page of %d, the limit is %d", len(page.Items), limit)
		}
		all = append(all, page.Items...)
		if before = page.Next; before == 0 {
			return all
		}
	}
	f.Fatal("the pages of dead letters do not end")
	return nil
}

func (f *fixture) putLetter(body []byte) store.DeadLetter {
	f.Helper()
	d := store.DeadLetter{
		Number: 77, ReceivedAt: time.Unix(1, 0), Source: sender, Subject: "carrier.events." + sender, Code: "invalid_json",
		Reason: "line 1: it ends too early", ReasonZh: "第 1 行：提前结束", Body: body,
	}
	if err := f.store.PutDeadLetter(f.Context(), d); err != nil {
		f.Fatalf("PutDeadLetter: %v", err)
	}
	return d
}

func lettersKept(f *fixture) {
	if got := f.letters(10); len(got) != 0 {
		f.Errorf("an empty store: %+v", got)
	}
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	bodies := [][]byte{[]byte(`{"id":`), every, bytes.Repeat([]byte{0xff}, 1<<20), {}}
	for i, body := range bodies {
		f.clock.advance(time.Second)
		want := f.putLetter(slices.Clone(body))
		got := f.letters(10)
		if len(got) != i+1 {
			f.Fatalf("%d dead letters, want %d", len(got), i+1)
		}
		if !got[0].ReceivedAt.Equal(f.clock.Now()) || !bytes.Equal(got[0].Body, body) {
			f.Errorf("letter %d came at %v with %d bytes, want %v and %d", i, got[0].ReceivedAt, len(got[0].Body), f.clock.Now(), len(body))
		}
		want.Number, want.ReceivedAt, want.Body = uint64(i+1), got[0].ReceivedAt, got[0].Body
		if !reflect.DeepEqual(got[0], want) {
			f.Errorf("kept as %+v, want %+v", got[0], want)
		}
	}
	f.audited(0, store.AuditEntry{})
}

func lettersPages(f *fixture) {
	const n = 17
	for i := range n {
		f.putLetter([]byte(fmt.Sprint(i)))
	}
	for _, limit := range []int{1, 5, n, 100} {
		got := f.letters(limit)
		if len(got) != n {
			f.Fatalf("by %d: %d letters, want %d", limit, len(got), n)
		}
		for i := range got {
			if want := n - i; got[i].Number != uint64(want) || string(got[i].Body) != fmt.Sprint(want-1) {
				f.Errorf("by %d, letter %d is number %d: %s", limit, i, got[i].Number, got[i].Body)
			}
		}
	}
}

func lettersSurvive(f *fixture) {
	for i := range 3 {
		f.putLetter([]byte(fmt.Sprint(i)))
		f.reopen()
		if got := f.letters(10); len(got) != i+1 || got[0].Number != uint64(i+1) || string(got[0].Body) != fmt.Sprint(i) {
			f.Errorf("after restart %d: %+v", i, got)
		}
	}
}

// lettersRetention sees old letters go and young ones stay, and no number come again when none is left.
func lettersRetention(f *fixture) {
	f.keepFor(keep)
	numbers := func(want ...uint64) {
		f.Helper()
		got := []uint64{}
		for _, d := range f.letters(2) {
			got = append(got, d.Number)
		}
		if !slices.Equal(got, want) {
			f.Errorf("dead letters %v, want %v", got, want)
		}
		f.check()
	}
	for range 3 {
		f.putLetter([]byte("{"))
	}
	f.clock.advance(time.Hour)
	f.putLetter([]byte("{"))
	f.pass(keep - time.Hour)
	numbers(4, 3, 2, 1) // None before its time.
	f.pass(time.Millisecond)
	numbers(4)
	f.reopen()
	f.putLetter([]byte("{"))
	numbers(5, 4)
	for next := uint64(6); next < 9; next++ {
		f.pass(keep + time.Millisecond)
		numbers()
		f.reopen()
		f.putLetter([]byte("{"))
		numbers(next)
	}
}

func lettersStay(f *fixture) {
	f.putLetter([]byte("{"))
	f.pass(1000 * keep)
	if got := f.letters(10); len(got) != 1 {
		f.Errorf("%d dead letters, want 1", len(got))
	}
}
