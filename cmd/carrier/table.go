package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/rivo/uniseg"
)

// column is one of a table.
type column struct {
	head  string
	right bool // For numbers.
	text  bool // May be cut to fit the terminal. What is copied from a table, such as numbers of waybills, may not.
}

const (
	columnGap = 2
	minText   = 12 // Columns that a text keeps on the narrowest terminal.
)

// table shows rows in columns that line up, also where characters are two columns wide, as the Chinese ones are.
type table struct {
	screen  *screen
	columns []column
	rows    [][]string
	widths  []int
	headed  bool
}

func (s *screen) table(columns ...column) *table {
	t := &table{screen: s, columns: columns, widths: make([]int, len(columns))}
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
	}
	t.rows = t.rows[:0]
	_, err := io.WriteString(t.screen.w, b.String())
	return err
}

// fit takes width from the widest texts until a row fits the terminal, or they have no more to give.
func (t *table) fit() []int {
	widths := append([]int(nil), t.widths...)
	if t.screen.width <= 0 {
		return widths
	}
	over := columnGap*(len(widths)-1) - t.screen.width
	for _, w := range widths {
		over += w
	}
	for ; over > 0; over-- {
		widest := -1
		for i, c := range t.columns {
			if c.text && widths[i] > minText && (widest < 0 || widths[i] > widths[widest]) {
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
		pad := strings.Repeat(" ", width-uniseg.StringWidth(n)+columnGap)
		if _, err := fmt.Fprintln(s.w, n+pad+f.values[i]); err != nil {
			return err
		}
	}
	return nil
}
