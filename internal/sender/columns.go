package sender

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// columnNames are the fields of an event, which the header of a CSV file names.
var columnNames = []string{"id", "delivery_id", "waybill_id", "action_type", "action_time", "action_msg", "token"}

// optionalColumns may be left out of the header.
var optionalColumns = []string{"delivery_id", "token"}

// event is an event as it is sent. What is empty is left out: the service knows what must be there.
type event struct {
	ID         string      `json:"id,omitempty"`
	DeliveryID string      `json:"delivery_id,omitempty"`
	WaybillID  string      `json:"waybill_id,omitempty"`
	ActionType json.Number `json:"action_type,omitempty"`
	ActionTime json.Number `json:"action_time,omitempty"`
	ActionMsg  string      `json:"action_msg,omitempty"`
	Token      string      `json:"token,omitempty"`
}

// JSON is e on one line, without its end.
func (e *event) JSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(e)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// readHeader checks the names of a CSV file's columns.
func readHeader(cells []string) ([]string, error) {
	names := make([]string, len(cells))
	for i, cell := range cells {
		names[i] = strings.TrimSpace(cell)
	}
	if len(names) == 1 && strings.ContainsAny(names[0], ";\t|") {
		return nil, errors.New("the columns are not separated by commas; save the sheet as CSV with commas")
	}
	if !slices.ContainsFunc(names, isColumn) {
		return nil, fmt.Errorf("the first line must name the columns: %s", strings.Join(columnNames, ","))
	}
	for i, name := range names {
		switch {
		case name == "":
			return nil, fmt.Errorf("column %d has no name; name it, or remove it", i+1)
		case !isColumn(name):
			return nil, unknownColumn(name)
		case slices.Contains(names[:i], name):
			return nil, fmt.Errorf("the column %s is there twice; remove one", name)
		}
	}
	return names, missingColumns(names)
}

func isColumn(name string) bool { return slices.Contains(columnNames, name) }

func unknownColumn(name string) error {
	const most = 64 // A longer one is no name, and the distance takes time by its length.
	if len(name) > most {
		return fmt.Errorf("there is no column of the name that begins %q; there are %s", name[:most], strings.Join(columnNames, ", "))
	}
	near := slices.MinFunc(columnNames, func(a, b string) int { return distance(name, a) - distance(name, b) })
	if distance(name, near) > max(1, len(name)/3) {
		return fmt.Errorf("there is no column %q; there are %s", name, strings.Join(columnNames, ", "))
	}
	return fmt.Errorf("there is no column %q; did you mean %s?", name, near)
}

func missingColumns(names []string) error {
	var missing []string
	for _, name := range columnNames {
		if !slices.Contains(names, name) && !slices.Contains(optionalColumns, name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the header does not name %s; every event needs that", strings.Join(missing, ", "))
	}
	return nil
}

// distance counts the letters to insert, remove or change to make b of a, whatever their case.
func distance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, 1, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			row = append(row, min(change, row[j]+1, last[j+1]+1))
		}
		last = row
	}
	return last[len(b)]
}

// readRow makes an event of a record. Its error says what is wrong with that row alone; as much of the event as could
// be read comes with it.
func readRow(names, cells []string) (event, error) {
	var e event
	if len(cells) != len(names) {
		return e, fmt.Errorf("the line has %d cells and the header %d; put a text with commas or line breaks in quotes", len(cells), len(names))
	}
	var first error
	for i, name := range names {
		if err := e.set(name, cells[i]); err != nil && first == nil {
			first = fmt.Errorf("%s %w", name, err)
		}
	}
	return e, first
}

// set takes one cell in. The text of the message stays as it is; around everything else, spaces and Excel's ="…" go.
func (e *event) set(name, cell string) (err error) {
	if name == "action_msg" {
		e.ActionMsg = cell
		return nil
	}
	cell = strings.TrimSpace(unwrap(strings.TrimSpace(cell)))
	switch name {
	case "id":
		e.ID, err = cell, checkUnrounded(cell)
	case "delivery_id":
		e.DeliveryID = cell
	case "waybill_id":
		e.WaybillID, err = cell, checkUnrounded(cell)
	case "action_type":
		e.ActionType, err = readCode(cell)
	case "action_time":
		e.ActionTime, err = readTime(cell)
	case "token":
		e.Token = cell
	}
	return err
}

// unwrap takes a long number out of ="123", the form in which a sheet keeps it as text.
func unwrap(cell string) string {
	if text, ok := strings.CutPrefix(cell, `="`); ok && strings.HasSuffix(text, `"`) {
		return strings.TrimSuffix(text, `"`)
	}
	return cell
}

// roundedNumber is how a sheet shows, and saves, a number of more than 11 digits: 1.23457E+19.
var roundedNumber = regexp.MustCompile(`^[0-9](\.[0-9]+)?[eE]\+[0-9]{2,3}$`)

// checkUnrounded finds numbers that are lost: a sheet keeps 15 digits and saves what it shows, so that many waybills
// would become one.
func checkUnrounded(cell string) error {
	if roundedNumber.MatchString(cell) {
		return fmt.Errorf(`is %s: the sheet has rounded a long number; format the column as text, or write ="NUMBER"`, cell)
	}
	return nil
}

func readCode(cell string) (json.Number, error) {
	if cell == "" {
		return "", nil
	}
	n, err := strconv.ParseInt(cell, 10, 64)
	if err != nil {
		return "", fmt.Errorf("is %q; write one of the codes in digits, such as 300002", shortened(cell))
	}
	return json.Number(strconv.FormatInt(n, 10)), nil
}

// readTime takes Unix seconds, or a time with its zone.
func readTime(cell string) (json.Number, error) {
	if cell == "" {
		return "", nil
	}
	if n, err := strconv.ParseInt(cell, 10, 64); err == nil {
		return json.Number(strconv.FormatInt(n, 10)), nil
	}
	at, err := time.Parse(time.RFC3339, cell)
	if err != nil {
		return "", fmt.Errorf("is %q; write Unix seconds (1533052800), or date, time and zone (2018-08-01T00:00:00+08:00)", shortened(cell))
	}
	return json.Number(strconv.FormatInt(at.Unix(), 10)), nil
}

// shortened bounds what an error repeats of a cell.
func shortened(cell string) string { return shortenedTo(cell, 40) }

// shortenedTo cuts text to most bytes, between characters.
func shortenedTo(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
