package admin

import (
	"net/url"
	"strconv"
	"time"

	"carrier/internal/problem"
	"carrier/internal/state"
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

// maxSilentHours bounds what can be asked for: a year.
const maxSilentHours = 365 * 24

// Silence says which silent waybills are looked for.
type Silence struct {
	Stage      state.Stage   // Created, the zero one: any in which a waybill can be silent.
	For        time.Duration // How long nothing came; 0: what is usual for the stage.
	DeliveryID string        // "": any.
	NoToken    bool          // Also waybills without a Token: no customer looks at their trace.
	Limit      int
	After      string // The place in the list behind which the page begins; empty: the first one.
}

var silentFilters = append([]filter[Silence]{
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
}, placePaging("silent", func(q *Silence) (*int, *string) { return &q.Limit, &q.After })...)

// SilentQuery reads which silent waybills to look for.
func SilentQuery(values url.Values, now time.Time) (Silence, error) {
	return parse(values, silentFilters, Silence{Limit: defaultLimit}, now)
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
