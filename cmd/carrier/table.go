package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rivo/uniseg"
)

// column is one of a table.
type column struct {
	head  string
	right bool // For numbers.
	text  bool // May be cut to fit the terminal. What is copied from a table, such as numbers of waybills, may not.
	below bool // Goes below its row, in full, where the terminal is too narrow for all; the rightmost first.
}

const (
	columnGap = 2
	minText   = 12 // Columns that a text keeps on the narrowest terminal.
	maxIndent = 8  // Columns before what goes below a row.
)

// table shows rows in columns that line up, also where characters are two columns wide, as the Chinese ones are.
type table struct {
	screen  *screen
	columns []column
	rows    [][]string
	widths  []int
	headed  bool
	moved   []bool // Columns that went below; decided when the head is written.
}

func (s *screen) table(columns ...column) *table {
	t := &table{screen: s, columns: columns, widths: make([]int, len(columns)), moved: make([]bool, len(columns))}
	for i, c := range columns {
		t.widths[i] = uniseg.StringWidth(c.head)
	}
	return t
}

// add takes a row, a cell a column.
func (t *table) add(cells ...string) {
	row := make([]string, len(t.columns))
	for i, cell := range cells {
		row[i] = visible(cell)
		t.widths[i] = max(t.widths[i], uniseg.StringWidth(row[i]))
	}
	t.rows = append(t.rows, row)
}

// flush writes the rows that were added, below the head if that is not written yet. A long list is flushed page by
// page; then columns widen where a later page needs it.
func (t *table) flush() error {
	var b strings.Builder
	if !t.headed {
		t.move()
	}
	widths := t.fit()
	if !t.headed && len(t.rows) > 0 {
		t.headed = true
		heads := make([]string, len(t.columns))
		for i, c := range t.columns {
			heads[i] = c.head
		}
		t.line(&b, widths, heads)
	}
	for _, row := range t.rows {
		t.line(&b, widths, row)
		t.below(&b, row)
	}
	t.rows = t.rows[:0]
	_, err := io.WriteString(t.screen.w, b.String())
	return err
}

// move sends columns below their rows, the rightmost first, until a row fits the terminal.
func (t *table) move() {
	for i := len(t.columns) - 1; i >= 0 && t.screen.width > 0 && t.over(t.widths) > 0; i-- {
		t.moved[i] = t.columns[i].below
	}
}

// over is how many columns of the terminal a row has too many.
func (t *table) over(widths []int) int {
	over := -columnGap - t.screen.width
	for i, w := range widths {
		if !t.moved[i] {
			over += columnGap + w
		}
	}
	return over
}

// fit takes width from the widest texts until a row fits the terminal, or they have no more to give.
func (t *table) fit() []int {
	widths := slices.Clone(t.widths)
	if t.screen.width <= 0 {
		return widths
	}
	for over := t.over(widths); over > 0; over-- {
		widest := -1
		for i, c := range t.columns {
			if c.text && !t.moved[i] && widths[i] > minText && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return widths
}

// line writes one row, without blanks at its end.
func (t *table) line(b *strings.Builder, widths []int, cells []string) {
	var row strings.Builder
	for i, cell := range cells {
		if t.moved[i] {
			continue
		}
		if t.columns[i].text {
			cell = cut(cell, widths[i])
		}
		pad := strings.Repeat(" ", max(0, widths[i]-uniseg.StringWidth(cell)))
		gap := strings.Repeat(" ", columnGap)
		if i == 0 {
			gap = ""
		}
		if t.columns[i].right {
			cell, pad = pad+cell, ""
		}
		row.WriteString(gap + cell + pad)
	}
	fmt.Fprintln(b, strings.TrimRight(row.String(), " "))
}

// below writes what went below a row, each with its head: a line for what is short, and one or more for each text.
func (t *table) below(b *strings.Builder, cells []string) {
	var short, long []string
	for i, cell := range cells {
		switch said := t.columns[i].head + " " + cell; {
		case !t.moved[i] || cell == "" || cell == "-":
		case t.columns[i].text:
			long = append(long, said)
		default:
			short = append(short, said)
		}
	}
	if len(short) > 0 {
		long = append([]string{strings.Join(short, strings.Repeat(" ", columnGap))}, long...)
	}
	indent := strings.Repeat(" ", min(t.widths[0], maxIndent)+columnGap)
	for _, text := range long {
		for _, line := range wrap(text, t.screen.width-len(indent)) {
			fmt.Fprintln(b, indent+line)
		}
	}
}

// wrap divides a text into lines of a width, where Unicode lets a line end. With no width it is one line.
func wrap(text string, width int) []string {
	if width < minText {
		return []string{text}
	}
	var lines []string
	line, state := "", -1
	for text != "" {
		var part string
		part, text, _, state = uniseg.FirstLineSegmentInString(text, state)
		if line != "" && uniseg.StringWidth(strings.TrimRight(line+part, " ")) > width {
			lines, line = append(lines, strings.TrimRight(line, " ")), ""
		}
		line += part
	}
	return append(lines, line)
}

// facts shows what is known of one thing, a line a fact. A fact that is empty is left out.
type facts struct {
	names, values []string
}

func (f *facts) add(name, value string) {
	if value != "" {
		f.names, f.values = append(f.names, name), append(f.values, visible(value))
	}
}

// print writes the facts, their values in one column.
func (f *facts) print(s *screen) error {
	width := 0
	for _, n := range f.names {
		width = max(width, uniseg.StringWidth(n))
	}
	for i, n := range f.names {
		lead := n + strings.Repeat(" ", width-uniseg.StringWidth(n)+columnGap)
		for _, line := range wrap(f.values[i], s.width-width-columnGap) {
			if _, err := fmt.Fprintln(s.w, lead+line); err != nil {
				return err
			}
			lead = strings.Repeat(" ", width+columnGap)
		}
	}
	return nil
}
