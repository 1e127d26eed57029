package state_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	. "carrier/internal/state"

	"pgregory.net/rapid"
)

// promisedTable is the transition table as the README prints it. It is typed in here a second time on purpose:
// whoever changes the one in the code has to change the promise as well.
const promisedTable = `| from \ event | 100003 | 100002 | 100001 | 200001 | 300002 | 300003 | 300004 | 400001 | 400002 |
|---|---|---|---|---|---|---|---|---|---|
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
| cancelled | - | - | - | - | - | - | - | = | - |
`

// codes are the columns of promisedTable.
var codes = []ActionType{100003, 100002, 100001, 200001, 300002, 300003, 300004, 400001, 400002}

// leadsTo is where an event leads; 400002 depends on the stage (see oracleStep).
var leadsTo = map[ActionType]string{
	100003: "assigned", 100002: "pickup_failed", 100001: "picked_up", 200001: "in_transit",
	300002: "out_for_delivery", 300003: "delivered", 300004: "delivery_failed", 400001: "cancelled",
}

// detainedTo is where 400002 leads, for the stages that it may come in.
var detainedTo = map[string]string{
	"created": "held_before_pickup", "assigned": "held_before_pickup", "pickup_failed": "held_before_pickup",
	"picked_up": "held_after_pickup", "in_transit": "held_after_pickup", "out_for_delivery": "held_after_pickup",
	"delivery_failed": "held_after_pickup",
}

// wayTo is one plain way into each stage: every step of it is Y.
var wayTo = map[string][]ActionType{
	"created":            {},
	"assigned":           {100003},
	"pickup_failed":      {100003, 100002},
	"picked_up":          {100003, 100001},
	"in_transit":         {100001, 200001},
	"out_for_delivery":   {100001, 200001, 300002},
	"delivery_failed":    {100001, 300002, 300004},
	"held_before_pickup": {100003, 400002},
	"held_after_pickup":  {100001, 200001, 400002},
	"delivered":          {100001, 300002, 300003},
	"cancelled":          {100003, 400001},
}

// cell is one cell of promisedTable.
type cell struct {
	from  string
	event ActionType
	out   Outcome
	to    string // The stage afterwards; from, where nothing moves.
}

func (c cell) String() string { return fmt.Sprintf("%s+%d", c.from, c.event) }

var cells = readCells(promisedTable)

// readCells takes a table in Markdown apart.
func readCells(table string) []cell {
	var all []cell
	for _, line := range strings.Split(strings.TrimSpace(table), "\n")[2:] {
		fields := strings.Split(strings.Trim(line, "| "), "|")
		from := strings.TrimSpace(fields[0])
		for i, f := range fields[1:] {
			c := cell{from: from, event: codes[i], out: Outcome(strings.TrimSpace(f)[0]), to: from}
			if c.out == Legal || c.out == Gap {
				c.to = leadsTo[c.event]
				if c.event == 400002 {
					c.to = detainedTo[from]
				}
			}
			all = append(all, c)
		}
	}
	return all
}

// lookup is the oracle of the other tests: the cell of promisedTable for s and a. A code that is none of the
// nine is illegal everywhere.
func lookup(s string, a ActionType) cell {
	for _, c := range cells {
		if c.from == s && c.event == a {
			return c
		}
	}
	return cell{from: s, event: a, out: Illegal, to: s}
}

// legalFrom lists the codes that promisedTable marks Y or G in row s.
func legalFrom(s string) []ActionType {
	list := []ActionType{}
	for _, a := range codes {
		if out := lookup(s, a).out; out == Legal || out == Gap {
			list = append(list, a)
		}
	}
	return list
}

// stage reads a stage's key.
func stage(t rapid.TB, key string) Stage {
	t.Helper()
	var s Stage
	if err := s.UnmarshalText([]byte(key)); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestContractTableIsWhole(t *testing.T) {
	if len(cells) != 99 {
		t.Fatalf("%d cells, want 99", len(cells))
	}
	for _, c := range cells {
		if !strings.ContainsRune("YG=-", rune(c.out)) || c.to == "" {
			t.Errorf("cell %v reads as %c to %q", c, c.out, c.to)
		}
	}
}

func TestNextIsTheContractsTable(t *testing.T) {
	for _, c := range cells {
		t.Run(c.String(), func(t *testing.T) {
			to, out := Next(stage(t, c.from), c.event)
			if out != c.out || to.String() != c.to {
				t.Errorf("Next is %c to %s, want %c to %s", out, to, c.out, c.to)
			}
		})
	}
}

func TestMarkdownIsTheContractsTable(t *testing.T) {
	if got := Markdown(); got != promisedTable {
		t.Errorf("got\n%s\nwant\n%s", got, promisedTable)
	}
}

func TestAllowedIsTheContractsRow(t *testing.T) {
	for _, s := range Stages() {
		if got, want := Allowed(s), legalFrom(s.String()); got == nil || !slices.Equal(got, want) {
			t.Errorf("Allowed(%s) is %#v, want %v", s, got, want)
		}
	}
}

func TestNextOfWhatIsUnknown(t *testing.T) {
	for _, a := range []ActionType{0, -1, 1, 100000, 100004, 200002, 300001, 400003, math.MaxInt32, math.MinInt32} {
		for _, s := range Stages() {
			if to, out := Next(s, a); to != s || out != Illegal {
				t.Errorf("Next(%s, %d) is %s %c, want the same stage and illegal", s, a, to, out)
			}
		}
		if a.Valid() {
			t.Errorf("%d is valid", a)
		}
	}
	if to, out := Next(Stage(200), Transit); to != Stage(200) || out != Illegal {
		t.Errorf("an unknown stage gives %v %c", to, out)
	}
}

func TestFinalStagesHaveNoWayOut(t *testing.T) {
	for _, s := range Stages() {
		if want := len(legalFrom(s.String())) == 0; s.Final() != want {
			t.Errorf("%s.Final() is %v, want %v", s, s.Final(), want)
		}
	}
}

// TestDecideIsTheContractsTable brings a waybill into each stage and sends it each of the nine, a minute later.
func TestDecideIsTheContractsTable(t *testing.T) {
	for _, c := range cells {
		t.Run(c.String(), func(t *testing.T) {
			d := newDesk(t)
			last := d.bring(c.from)
			head := d.line.Head()
			d.now += 5000
			got := d.send(c.event, d.last+60)
			switch c.out {
			case Legal:
				d.same(got, Decision{Entry: Entry{Verdict: Accepted}, Stage: stage(t, c.to)})
			case Gap:
				until := d.now + window.Milliseconds()
				d.same(got, Decision{
					Entry: Entry{Verdict: Held, Reason: MissingScan, Until: until}, Stage: stage(t, c.from),
				})
				d.checkGapEnds(got.Entry, c)
			case Repeat:
				d.same(got, Decision{
					Entry: Entry{Verdict: Ignored, Reason: RepeatsStage}, Stage: stage(t, c.from), Cause: last,
				})
			case Illegal:
				d.same(got, Decision{
					Entry: Entry{Verdict: Rejected, Reason: IllegalStep}, Stage: stage(t, c.from),
					From: stage(t, c.from), Allowed: legalFrom(c.from), Cause: last,
				})
			}
			d.checkShortCut(head, got, c)
		})
	}
}

// checkGapEnds lets the reorder window of a held event pass: to the millisecond, and not before.
func (d *desk) checkGapEnds(held Entry, c cell) {
	d.t.Helper()
	if at := d.line.NextDeadline(); at != held.Until {
		d.t.Errorf("NextDeadline is %d, want %d", at, held.Until)
	}
	if changed := d.m.Expire(d.line, held.Until-1); len(changed) != 0 {
		d.t.Errorf("a millisecond early %v changed", changed)
	}
	want := held
	want.Verdict, want.Reason, want.Until, want.Gap = Accepted, 0, 0, true
	if changed := d.m.Expire(d.line, held.Until); !slices.Equal(changed, []Entry{want}) {
		d.t.Errorf("after its window %+v changed, want %+v", changed, want)
	}
	if got := d.line.Stage().String(); got != c.to {
		d.t.Errorf("after its window the stage is %s, want %s", got, c.to)
	}
	if at := d.line.NextDeadline(); at != 0 {
		d.t.Errorf("nothing is held, but NextDeadline is %d", at)
	}
}

// checkShortCut checks that DecideInOrder answers for Y, only for it, and as Decide did.
func (d *desk) checkShortCut(head Head, full Decision, c cell) {
	d.t.Helper()
	in := Entry{Seq: full.Entry.Seq, Type: full.Entry.Type, Time: full.Entry.Time, MsgHash: full.Entry.MsgHash}
	short, after, ok := d.m.DecideInOrder(head, in)
	if ok != (c.out == Legal) {
		d.t.Fatalf("DecideInOrder answers: %v", ok)
	}
	if !ok {
		if after != head {
			d.t.Errorf("it gave no answer but another head: %+v, was %+v", after, head)
		}
		return
	}
	d.sameDecision(short, full)
	if want := d.line.Head(); after != want {
		d.t.Errorf("head is %+v, want %+v", after, want)
	}
}

const window = 2 * time.Minute
