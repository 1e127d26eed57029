package sender

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// ndjsonReader passes lines on as they are. What is wrong with one is the service's to say; only what no line of
// NDJSON begins with ends the reading.
type ndjsonReader struct {
	lines  *lines
	looked bool // At the first line.
}

func (n *ndjsonReader) next() (Item, error) {
	for {
		text, err := n.lines.next()
		item := Item{Line: n.lines.line}
		if errors.Is(err, errLongLine) {
			item.refuseLong(0)
			return item, nil
		}
		if err != nil {
			return Item{}, err
		}
		// The service does not count lines of spaces either.
		content := bytes.Trim(text, " \t\r")
		if len(content) == 0 {
			continue
		}
		if err := n.look(content); err != nil {
			return Item{}, err
		}
		item.Body = bytes.Clone(text)
		item.ID, item.Waybill = names(text)
		return item, nil
	}
}

// look finds JSON that is laid out otherwise by its first line.
func (n *ndjsonReader) look(content []byte) error {
	if n.looked {
		return nil
	}
	n.looked = true
	switch {
	case content[0] == '[':
		return fmt.Errorf("line %d begins an array; write one event a line: jq -c '.[]' FILE", n.lines.line)
	case string(content) == "{":
		return fmt.Errorf("line %d holds only the beginning of an event; write each on one line: jq -c . FILE", n.lines.line)
	}
	return nil
}

// names reads what an event is called and which waybill it is of; both are empty if that can't be read. Where this
// reads more leniently than the service (letter case, repeated fields), the service refuses the event.
func names(text []byte) (id, waybill string) {
	var e struct {
		ID      string `json:"id"`
		Waybill string `json:"waybill_id"`
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return "", ""
	}
	return e.ID, e.Waybill
}
