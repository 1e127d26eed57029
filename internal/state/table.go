package state

import (
	"fmt"
	"strings"
)

// Outcome is what the table says of an event in a stage.
type Outcome byte

const (
	Legal   Outcome = 'Y' // It leads to the next stage.
	Gap     Outcome = 'G' // Legal, but a scan before it is missing.
	Repeat  Outcome = '=' // Nothing new.
	Illegal Outcome = '-' // It contradicts what is known.
)

// table is the transition table: a row a stage, a column an action type in the order of ActionTypes.
// It is the product's own promise (README, Stages): upstream enforces no order (WeChat 物流助手, updatePath, an answer of
// its staff).
var table = [numStages]string{
	//                 assigned   pickup     transit    signed     cancelled
	//                     pickup failed  delivering  delivery failed  held
	Created:          "Y   G   Y   G   G   G   G   Y   Y",
	Assigned:         "Y   Y   Y   G   G   G   G   Y   Y",
	PickupMissed:     "Y   Y   Y   G   G   G   G   Y   Y",
	PickedUp:         "-   -   =   Y   Y   G   G   -   Y",
	InTransit:        "-   -   -   Y   Y   G   G   -   Y",
	OutForDelivery:   "-   -   -   Y   Y   Y   Y   -   Y",
	DeliveryMissed:   "-   -   -   Y   Y   Y   Y   -   Y",
	HeldBeforePickup: "Y   Y   Y   G   G   G   G   Y   =",
	HeldAfterPickup:  "-   -   -   Y   Y   Y   Y   -   =",
	Delivered:        "-   -   -   -   -   =   -   -   -",
	Void:             "-   -   -   -   -   -   -   =   -",
}

const columnWidth = 4 // characters a column takes in a row of table

// Next says what event a means in stage s, and which stage it leads to.
// For Repeat and Illegal, and for a code that is none of the nine (Illegal), the stage stays s.
func Next(s Stage, a ActionType) (Stage, Outcome) {
	act, ok := actions[a]
	if !ok || s >= numStages {
		return s, Illegal
	}
	out := Outcome(table[s][act.column*columnWidth])
	if out == Repeat || out == Illegal {
		return s, out
	}
	return target(s, a), out
}

// target is the stage that a leads to from s, whatever the table says of the step.
func target(s Stage, a ActionType) Stage {
	switch a {
	case PickupAssigned:
		return Assigned
	case PickupFailed:
		return PickupMissed
	case PickupDone:
		return PickedUp
	case Transit:
		return InTransit
	case DeliveryBegun:
		return OutForDelivery
	case Signed:
		return Delivered
	case DeliveryFailed:
		return DeliveryMissed
	case Cancelled:
		return Void
	case Detained:
		if s.beforePickup() {
			return HeldBeforePickup
		}
		return HeldAfterPickup
	}
	return s
}

func (s Stage) beforePickup() bool {
	return s == Created || s == Assigned || s == PickupMissed || s == HeldBeforePickup
}

// Allowed lists the codes that move a waybill on from s (Y and G), in the order of ActionTypes; never nil.
func Allowed(s Stage) []ActionType {
	allowed := []ActionType{}
	for _, a := range ActionTypes {
		if _, out := Next(s, a); out == Legal || out == Gap {
			allowed = append(allowed, a)
		}
	}
	return allowed
}

// Markdown prints the transition table as the README shows it.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| from \\ event |")
	for _, a := range ActionTypes {
		fmt.Fprintf(&b, " %d |", a)
	}
	b.WriteString("\n|" + strings.Repeat("---|", len(ActionTypes)+1) + "\n")
	for _, s := range Stages() {
		fmt.Fprintf(&b, "| %s |", s)
		for _, a := range ActionTypes {
			_, out := Next(s, a)
			fmt.Fprintf(&b, " %c |", out)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
