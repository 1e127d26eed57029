package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// decodeStrict reads the one JSON value of a body into v. The error says what to write instead.
func decodeStrict(r *http.Request, limit int64, v any) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return fmt.Errorf("reading the body: %w", err)
	}
	if int64(len(body)) > limit {
		return fmt.Errorf("the body is over %d bytes", limit)
	}
	known := fieldsOf(v)
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return explain(err, known)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("one JSON value is wanted; something follows it")
	}
	return nil
}

// fieldsOf lists the JSON fields of the struct that v points to.
func fieldsOf(v any) []string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(encode(v), &fields) != nil {
		return nil // Not a struct: nothing to list.
	}
	return slices.Sorted(maps.Keys(fields))
}

// explain puts encoding/json's errors into the words of somebody who writes JSON, not Go.
func explain(err error, known []string) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("%s: %s is not what belongs there%s", wrong.Field, wrong.Value, hint(wrong))
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fmt.Errorf("unknown field %s; there are %s", name, strings.Join(known, ", "))
	}
	if errors.Is(err, io.EOF) {
		return errors.New("the body is empty; a JSON object is wanted")
	}
	return fmt.Errorf("no JSON that can be read: %w", err)
}

func hint(wrong *json.UnmarshalTypeError) string {
	switch wrong.Type.Name() {
	case "Duration":
		return `: write a duration like "50ms"`
	case "float64":
		return ": write a share from 0 to 1"
	case "bool":
		return ": write true or false"
	case "int":
		return ": write a whole number"
	}
	return ""
}

// methods answers 405 for what h does not have.
type methods map[string]http.HandlerFunc

func (m methods) serve(w http.ResponseWriter, r *http.Request) {
	h, ok := m[r.Method]
	if !ok {
		allowed := strings.Join(slices.Sorted(maps.Keys(m)), ", ")
		w.Header().Set("Allow", allowed)
		writeProblem(w, http.StatusMethodNotAllowed, fmt.Errorf("%s is not possible here; %s is", r.Method, allowed))
		return
	}
	h(w, r)
}
