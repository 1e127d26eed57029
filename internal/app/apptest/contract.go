package apptest

import "strings"

// ActionTypes are the nine codes in the order of the table.
var ActionTypes = []int{100003, 100002, 100001, 200001, 300002, 300003, 300004, 400001, 400002}

// transitions is the README's table of stages (Stages), as it is printed there: Y legal, G legal
// with a scan missing, = a repeat, - illegal.
const transitions = `
| created | Y | G | Y | G | G | G | G | Y | Y |
| assigned | Y | Y | Y | G | G | G | G | Y | Y |
| pickup_failed | Y | Y | Y | G | G | G | G | Y | Y |
| picked_up | - | - | = | Y | Y | G | G | - | Y |
| in_transit | - | - | - | Y | Y | G | G | - | Y |
| out_for_delivery | - | - | - | Y | Y | Y | Y | - | Y |
| delivery_failed | - | - | - | Y | Y | Y | Y | - | Y |
| held_before_pickup | Y | Y | Y | G | G | G | G | Y | = |
| held_after_pickup | - | - | - | Y | Y | Y | Y | - | = |
| delivered | - | - | - | - | - | = | - | - | - |
| cancelled | - | - | - | - | - | - | - | = | - |`

// Cell is one cell of the table.
type Cell struct {
	Stage  string
	Action int
	Mark   byte   // 'Y', 'G', '=' or '-'.
	To     string // The stage that it leads to; for '=' and '-' the stage itself.
}

// Cells are the 99 cells, row by row.
func Cells() []Cell {
	var cells []Cell
	for line := range strings.Lines(strings.TrimSpace(transitions)) {
		parts := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		stage := strings.TrimSpace(parts[0])
		for i, action := range ActionTypes {
			mark := strings.TrimSpace(parts[i+1])[0]
			cells = append(cells, Cell{stage, action, mark, leadsTo(stage, action, mark)})
		}
	}
	return cells
}

// leadsTo repeats the contract's sentence about where each code leads.
func leadsTo(stage string, action int, mark byte) string {
	if mark == '=' || mark == '-' {
		return stage
	}
	if action == 400002 {
		switch stage {
		case "created", "assigned", "pickup_failed", "held_before_pickup":
			return "held_before_pickup"
		}
		return "held_after_pickup"
	}
	return map[int]string{
		100003: "assigned", 100002: "pickup_failed", 100001: "picked_up", 200001: "in_transit", 300002: "out_for_delivery",
		300003: "delivered", 300004: "delivery_failed", 400001: "cancelled",
	}[action]
}

// Allowed are the codes that lead on from a stage, in the order of the table.
func Allowed(stage string) []int {
	allowed := []int{}
	for _, c := range Cells() {
		if c.Stage == stage && (c.Mark == 'Y' || c.Mark == 'G') {
			allowed = append(allowed, c.Action)
		}
	}
	return allowed
}

// next is what the table says of an action in a stage.
func next(stage string, action int) Cell {
	for _, c := range Cells() {
		if c.Stage == stage && c.Action == action {
			return c
		}
	}
	return Cell{stage, action, '-', stage}
}

// WayTo are actions that lead a new waybill to a stage, each of them legal.
func WayTo(stage string) []int {
	return map[string][]int{
		"created":            {},
		"assigned":           {100003},
		"pickup_failed":      {100003, 100002},
		"picked_up":          {100001},
		"in_transit":         {100001, 200001},
		"out_for_delivery":   {100001, 300002},
		"delivery_failed":    {100001, 300002, 300004},
		"held_before_pickup": {400002},
		"held_after_pickup":  {100001, 400002},
		"delivered":          {100001, 300002, 300003},
		"cancelled":          {400001},
	}[stage]
}
