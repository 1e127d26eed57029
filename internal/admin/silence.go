package admin

import (
	"net/url"
	"strconv"
	"time"

	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
)

// silentAfter is for how long a waybill of each stage may stand still before something is wrong with it, unless somebody
// says otherwise. Stages that are not here end a waybill, or begin before its first scan.
var silentAfter = map[state.Stage]time.Duration{
	state.Assigned:         24 * time.Hour,
	state.PickupMissed:     24 * time.Hour,
	state.PickedUp:         24 * time.Hour,
	state.InTransit:        48 * time.Hour,
	state.OutForDelivery:   12 * time.Hour,
	state.DeliveryMissed:   24 * time.Hour,
	state.HeldBeforePickup: 48 * time.Hour,
	state.HeldAfterPickup:  48 * time.Hour,
}

// leadsTo is the action type whose event puts a waybill into a stage.
var leadsTo = map[state.Stage]state.ActionType{
	state.Assigned: state.PickupAssigned, state.PickupMissed: state.PickupFailed, state.PickedUp: state.PickupDone,
	state.InTransit: state.Transit, state.OutForDelivery: state.DeliveryBegun, state.DeliveryMissed: state.DeliveryFailed,
	state.HeldBeforePickup: state.Detained, state.HeldAfterPickup: state.Detained,
}

// silentWithin is how long a waybill is listed: one that stood still for longer is lost, and known to be.
const silentWithin = 30 * 24 * time.Hour

// Bounds of one look for silent waybills.
const (
	maxSilent      = 100 // Waybills that are listed.
	silentRows     = 200 // Rows of a page of the store: each may cost the reading of a waybill.
	maxSilentHours = int(silentWithin / time.Hour)
)

// Silence says which silent waybills are looked for.
type Silence struct {
	Stage      state.Stage   // Created, the zero one: any in which a waybill can be silent.
	For        time.Duration // How long nothing came; 0: what is usual for the stage.
	DeliveryID string        // "": any.
	NoToken    bool          // Also waybills without a Token: no customer looks at their trace.
	Before     uint64        // Only by events with a smaller number; 0: from the newest.
}

var silentFilters = []filter[Silence]{
	{"stage", func(q *Silence, value string, _ time.Time) bool {
		err := q.Stage.UnmarshalText([]byte(value))
		return err == nil && silentAfter[q.Stage] > 0
	}, problem.Text{En: "a stage that a waybill leaves again, such as in_transit", Zh: "运单会离开的阶段，例如 in_transit"}},
	{"hours", func(q *Silence, value string, _ time.Time) bool {
		n, err := strconv.Atoi(value)
		q.For = time.Duration(n) * time.Hour
		return err == nil && 1 <= n && n <= maxSilentHours
	}, problem.Textf("a whole number of hours from 1 to %d", "1 到 %d 的整数小时数", maxSilentHours)},
	{"delivery_id", readString(func(q *Silence) *string { return &q.DeliveryID }), anything},
	{"no_token", func(q *Silence, value string, _ time.Time) bool {
		q.NoToken = value == "1"
		return value == "0" || value == "1"
	}, problem.Text{En: "0 or 1", Zh: "0 或 1"}},
	{"cursor", func(q *Silence, value string, _ time.Time) bool { return readCursor("silent", &q.Before, value) },
		problem.Text{En: "the cursor of an earlier look", Zh: "上一次查找返回的 cursor"}},
}

// SilentQuery reads which silent waybills to look for.
func SilentQuery(values url.Values, now time.Time) (Silence, error) {
	return parse(values, silentFilters, Silence{}, now)
}

// SilentStage is a stage in which a waybill can be silent, and after how long it is said to be.
type SilentStage struct {
	Stage state.Stage
	Name  Text
	After time.Duration
}

// SilentStages lists them, in the order of a parcel's way.
func SilentStages() []SilentStage {
	var all []SilentStage
	for _, stage := range state.Stages() {
		if after, ok := silentAfter[stage]; ok {
			all = append(all, SilentStage{stage, stageText(stage), after})
		}
	}
	return all
}

// events selects the events that may be the last of a silent waybill.
func (q *Silence) events(now time.Time) store.Query {
	events := store.Query{
		Verdict: state.Accepted, DeliveryID: q.DeliveryID, Before: q.Before, Limit: silentRows,
		Since: now.Add(-silentWithin), Until: now.Add(-q.least(0)),
	}
	if q.Stage != state.Created {
		events.Type = leadsTo[q.Stage]
	}
	return events
}

// after is for how long nothing must have come of a waybill at a stage for it to be silent; ok is false if a waybill of
// that stage is not looked for.
func (q *Silence) after(stage state.Stage) (d time.Duration, ok bool) {
	usual, ok := silentAfter[stage]
	if !ok || q.Stage != state.Created && stage != q.Stage {
		return 0, false
	}
	if q.For > 0 {
		return q.For, true
	}
	return usual, true
}

// least is the shortest time after which a waybill can be silent whose last event is of an action type; 0: of any.
func (q *Silence) least(a state.ActionType) time.Duration {
	shortest := silentWithin
	for stage, leads := range leadsTo {
		if d, ok := q.after(stage); ok && (a == 0 || leads == a) {
			shortest = min(shortest, d)
		}
	}
	return shortest
}
