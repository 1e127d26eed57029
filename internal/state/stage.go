package state

import "fmt"

// Stage says where a waybill stands. The zero value is Created.
type Stage uint8

const (
	Created          Stage = iota // Ordered, or not heard of yet. Left by any scan.
	Assigned                      // A courier was given the order; left by the pickup or its failure.
	PickupMissed                  // The pickup failed; left by another visit or a cancellation.
	PickedUp                      // The courier has it; left by transit or delivery. Can't be cancelled any more.
	InTransit                     // Between hubs; left by the delivery round.
	OutForDelivery                // On the last mile; left by a signature, a failure or a return to a hub.
	DeliveryMissed                // The delivery failed; left by another round, transit or a late signature.
	HeldBeforePickup              // Stuck and not picked up; left as Assigned is.
	HeldAfterPickup               // Stuck on its way; left as InTransit is.
	Delivered                     // Signed for. Final.
	Void                          // Cancelled before pickup. Final.

	numStages
)

type stageName struct{ key, en, zh string }

var stageNames = [numStages]stageName{
	Created:          {"created", "created", "已下单"},
	Assigned:         {"assigned", "courier assigned", "已分配业务员"},
	PickupMissed:     {"pickup_failed", "pickup failed", "揽件失败"},
	PickedUp:         {"picked_up", "picked up", "已揽件"},
	InTransit:        {"in_transit", "in transit", "运输中"},
	OutForDelivery:   {"out_for_delivery", "out for delivery", "派送中"},
	DeliveryMissed:   {"delivery_failed", "delivery failed", "派送失败"},
	HeldBeforePickup: {"held_before_pickup", "held up before pickup", "揽件前滞留"},
	HeldAfterPickup:  {"held_after_pickup", "held up after pickup", "揽件后滞留"},
	Delivered:        {"delivered", "delivered", "已签收"},
	Void:             {"cancelled", "cancelled", "已取消"},
}

// Stages lists all stages in the order of the rows of the transition table.
func Stages() []Stage {
	all := make([]Stage, numStages)
	for i := range all {
		all[i] = Stage(i)
	}
	return all
}

// String is the stage's key, as in answers and filters: "picked_up".
func (s Stage) String() string {
	if s >= numStages {
		return fmt.Sprintf("stage(%d)", uint8(s))
	}
	return stageNames[s].key
}

// Name is the stage in words, Chinese when zh is set.
func (s Stage) Name(zh bool) string {
	switch {
	case s >= numStages:
		return s.String()
	case zh:
		return stageNames[s].zh
	}
	return stageNames[s].en
}

// Final tells whether no event leads out of s.
func (s Stage) Final() bool { return s == Delivered || s == Void }

// MarshalText writes the key.
func (s Stage) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the key; an unknown one is an error.
func (s *Stage) UnmarshalText(text []byte) error {
	for i, n := range stageNames {
		if n.key == string(text) {
			*s = Stage(i)
			return nil
		}
	}
	return fmt.Errorf("unknown stage %q", text)
}
