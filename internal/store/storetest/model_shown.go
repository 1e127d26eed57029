package storetest

import (
	"context"
	"errors"
	"reflect"
	"slices"

	"pgregory.net/rapid"

	"carrier/internal/state"
	"carrier/internal/store"
)

// modelShown is what the model knows to be shown of a waybill.
type modelShown struct {
	shown    *store.Shown // nil: nothing.
	expunged int64        // Unix seconds; 0: never.
}

// putShown tells few versions of few waybills, so that some come twice, and some too late.
func (m *model) putShown(t *rapid.T) {
	w := modelWaybills.Draw(t, "waybill")
	told := store.Shown{Version: rapid.Int64Range(0, 5).Draw(t, "version"), OrderID: "1"}
	for range rapid.IntRange(0, 3).Draw(t, "actions") {
		at := m.clock.Now().Unix() + rapid.Int64Range(-3600, 3600).Draw(t, "action_time")
		told.Actions = append(told.Actions, store.ShownAction{Time: at, Type: 300001, Msg: rapid.SampledFrom([]string{"", "x"}).Draw(t, "text")})
	}
	known := m.shown[w]
	fresh := known.shown == nil || told.Version > known.shown.Version
	kept, err := m.store.PutShown(context.Background(), w, told)
	if err != nil || kept != fresh {
		t.Fatalf("PutShown(%s, %+v): %v, %v; the model has %+v", w, told, kept, err, known.shown)
	}
	if !fresh {
		return
	}
	told.ReceivedAt, told.Actions = m.clock.Now(), slices.Clone(told.Actions)
	for i := range told.Actions {
		if told.Actions[i].Time <= known.expunged {
			told.Actions[i].Msg = ""
		}
	}
	m.shown[w] = modelShown{&told, known.expunged}
}

// expungeShown forgets the texts, and tells how many.
func (m *model) expungeShown(w state.Waybill) (forgotten int) {
	known := m.shown[w]
	known.expunged = m.clock.Now().Unix()
	m.shown[w] = known
	if known.shown == nil {
		return 0
	}
	for i := range known.shown.Actions {
		if a := &known.shown.Actions[i]; a.Msg != "" {
			a.Msg = ""
			forgotten++
		}
	}
	return forgotten
}

func (m *model) compareShown() {
	for w, want := range m.shown {
		got, err := m.store.Shown(context.Background(), w)
		if want.shown == nil {
			if !errors.Is(err, store.ErrNotFound) {
				m.Fatalf("what is shown of %s is %+v (%v), want nothing", w, got, err)
			}
			continue
		}
		same := got.ReceivedAt.Equal(want.shown.ReceivedAt)
		got.ReceivedAt = want.shown.ReceivedAt
		if err != nil || !same || !reflect.DeepEqual(got, *want.shown) {
			m.Fatalf("what is shown of %s is %+v (%v), want %+v", w, got, err, *want.shown)
		}
	}
}
