package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what a run found.
type Report struct {
	Machine Machine   `json:"machine"`
	Figures []*Figure `json:"figures"`
}

// Machine says where it was measured.
type Machine struct {
	OS   string `json:"os"`
	Arch string `json:"arch"`
	CPUs int    `json:"cpus"` // That Go uses.
	Go   string `json:"go"`
	Dir  string `json:"dir"`
	// SyncMicros is how long an fsync of 4 KiB takes in Dir, the median. Below about 20 it is memory, or a disk that
	// does not wait for its medium.
	SyncMicros float64 `json:"sync_us"`
	// Load is how many threads wanted to run, on average over the minute before; 0: not known on this system.
	Load float64 `json:"load"`
}

// busy tells whether other programs take so much of the machine that figures per second mean little.
func (m Machine) busy() bool { return m.Load > float64(m.CPUs)/2 }

// Figure is something measured, with what bounds it. Value, Ceiling and Ratio are medians over the rounds.
type Figure struct {
	Name          string    `json:"name"`
	Title         string    `json:"title"`
	Unit          string    `json:"unit"`
	Value         float64   `json:"value"`
	Rounds        []float64 `json:"rounds"`
	Ceiling       float64   `json:"ceiling,omitempty"` // 0: there is none.
	CeilingTitle  string    `json:"ceiling_title,omitempty"`
	CeilingRounds []float64 `json:"ceiling_rounds,omitempty"`
	Ratio         float64   `json:"ratio,omitempty"` // Value to Ceiling, within a round.
	Aim           Aim       `json:"aim,omitzero"`
	Reached       bool      `json:"reached"` // True without an aim.
	Notes         []string  `json:"notes,omitempty"`

	ratios []float64
}

// Aim is what a figure should come to; the zero value is no aim.
type Aim struct {
	Of      string  `json:"of"` // "value" or "ratio".
	AtLeast float64 `json:"at_least,omitempty"`
	AtMost  float64 `json:"at_most,omitempty"`
}

func atLeastRatio(r float64) Aim { return Aim{Of: "ratio", AtLeast: r} }
func atLeastValue(v float64) Aim { return Aim{Of: "value", AtLeast: v} }
func atMostRatio(r float64) Aim  { return Aim{Of: "ratio", AtMost: r} }
func atMostValue(v float64) Aim  { return Aim{Of: "value", AtMost: v} }

// reached tells whether a figure comes to its aim.
func (a Aim) reached(f *Figure) bool {
	got := f.Value
	if a.Of == "ratio" {
		got = f.Ratio
	}
	return a == (Aim{}) || got >= a.AtLeast && (a.AtMost == 0 || got <= a.AtMost)
}

// String is the aim in words; empty for none.
func (a Aim) String() string {
	switch {
	case a.AtLeast > 0:
		return "at least " + number(a.AtLeast)
	case a.AtMost > 0:
		return "at most " + number(a.AtMost)
	}
	return ""
}

// add takes in a round. A ceiling of 0 is none.
func (f *Figure) add(value, ceiling float64) {
	f.Rounds = append(f.Rounds, value)
	f.Value = median(f.Rounds)
	if ceiling > 0 {
		f.CeilingRounds = append(f.CeilingRounds, ceiling)
		f.ratios = append(f.ratios, value/ceiling)
		f.Ceiling, f.Ratio = median(f.CeilingRounds), median(f.ratios)
	}
	f.Reached = f.Aim.reached(f)
}

func (f *Figure) note(format string, args ...any) {
	f.Notes = append(f.Notes, fmt.Sprintf(format, args...))
}

func (a *Audit) add(b Audit) {
	a.Accepted += b.Accepted
	a.Arrived += b.Arrived
	a.Lost += b.Lost
	a.Disordered += b.Disordered
	a.Repeated += b.Repeated
	a.Strange += b.Strange
}

// median of an even number is the mean of the two in the middle; of none, 0.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// WriteJSON writes the report for machines.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, "%s/%s, %d CPUs, %s; fsync of 4 KiB in %s: %.0f us\n\n", m.OS, m.Arch, m.CPUs, m.Go, m.Dir, m.SyncMicros)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FIGURE\tVALUE\tCEILING\tRATIO\tAIM")
	for _, f := range r.Figures {
		fmt.Fprintln(t, f.row())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	b.WriteByte('\n')
	for _, f := range r.Figures {
		fmt.Fprintln(&b, f.legend())
	}
	if m.SyncMicros < fastestDisk {
		b.WriteString("\nThe folder seems to be in memory, or on a disk that does not wait for its medium: give one on the service's disk.\n")
	}
	if m.busy() {
		fmt.Fprintf(&b, "\nOther programs were busy (load %.1f on %d CPUs): trust CPU per event more than ratios, and both more than figures per second.\n", m.Load, m.CPUs)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (f *Figure) row() string {
	ceiling, ratio, aim := "", "", f.Aim.String()
	if f.Ceiling > 0 {
		ceiling, ratio = number(f.Ceiling), fmt.Sprintf("%.2f", f.Ratio)
	}
	switch {
	case aim != "" && f.Reached:
		aim += ", reached"
	case aim != "":
		aim += ", missed"
	}
	return strings.Join([]string{f.Name, number(f.Value) + " " + f.Unit, ceiling, ratio, aim}, "\t")
}

// legend says in words what a row is.
func (f *Figure) legend() string {
	var text strings.Builder
	text.WriteString(f.Name + ": " + f.Title)
	if f.CeilingTitle != "" {
		text.WriteString("; ceiling: " + f.CeilingTitle)
	}
	for _, n := range f.Notes {
		text.WriteString("\n    " + n)
	}
	return text.String()
}

// number writes a figure with three digits that count, and thousands apart.
func number(v float64) string {
	switch {
	case v < 1:
		return fmt.Sprintf("%.3g", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	digits := fmt.Sprintf("%.0f", math.Round(v))
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

func micros(v float64) string { return number(v) + " us" }

// fastestDisk is what no disk that keeps its word takes for an fsync, in microseconds.
const fastestDisk = 20

// probeMachine looks at the machine, and at the disk of dir.
func probeMachine(dir string) (Machine, error) {
	m := Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.GOMAXPROCS(0), Go: runtime.Version(), Dir: dir, Load: loadAverage()}
	f, err := os.CreateTemp(dir, "sync-")
	if err != nil {
		return m, err
	}
	defer f.Close() // What is in it is of no interest.
	block := make([]byte, 4096)
	var took []float64
	for range 50 {
		start := time.Now()
		if _, err := f.Write(block); err != nil {
			return m, err
		}
		if err := f.Sync(); err != nil {
			return m, err
		}
		took = append(took, float64(time.Since(start).Microseconds()))
	}
	m.SyncMicros = median(took)
	return m, nil
}

// loadAverage reads what Linux keeps, proc_loadavg(5); 0 elsewhere.
func loadAverage() float64 {
	var load float64
	text, err := os.ReadFile("/proc/loadavg")
	if err == nil {
		_, _ = fmt.Sscan(string(text), &load) // 0: not known.
	}
	return load
}
