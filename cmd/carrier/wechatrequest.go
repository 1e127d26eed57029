package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"carrier/internal/wechat"
)

// requestFlag takes a request as JSON.
type requestFlag struct {
	Request string `name:"file" short:"f" placeholder:"FILE" help:"The request as JSON, in the document's form or that of 云调用; - for standard input."`
}

// maxRequest bounds a request, in bytes: some ten thousand orders.
const maxRequest = 4 << 20

// read fills in fields, by their names in the document, from the request, if one is given; flags are those that were
// given beside it.
func (r *requestFlag) read(w *world, fields map[string]any, flags bool) error {
	if r.Request == "" {
		return nil
	}
	if flags {
		return usageError{errors.New("-f is the whole request; leave the other fields out, or -f")}
	}
	body, err := r.body(w)
	if err == nil {
		err = readFields(body, fields)
	}
	if err != nil {
		return usageError{fmt.Errorf("-f %s: %w", r.Request, err)}
	}
	return nil
}

func (r *requestFlag) body(w *world) ([]byte, error) {
	body, err := w.read(r.Request, maxRequest)
	if err == nil && len(body) > maxRequest {
		err = fmt.Errorf("it is larger than %d MiB, which no request is", maxRequest>>20)
	}
	return bytes.TrimPrefix(body, []byte("\ufeff")), err
}

// readFields reads a request in either form. Its fields are those given and no others.
func readFields(body []byte, fields map[string]any) error {
	body, err := wechat.HTTPSRequest(body)
	if err != nil {
		return err
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(body, &given); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		into, ok := fields[name]
		if !ok {
			return fmt.Errorf("there is no field %q; there are: %s", name, strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		}
		if string(given[name]) == "null" || json.Unmarshal(given[name], into) != nil {
			return fmt.Errorf("%s must be a %s", name, kindOf(into))
		}
	}
	return nil
}

func kindOf(into any) string {
	switch into.(type) {
	case *string:
		return "string"
	case *[]json.RawMessage:
		return "list"
	}
	return "whole number"
}

// needed refuses a request that lacks a field.
func needed(fields ...[2]string) error {
	for _, f := range fields {
		if f[1] == "" {
			return usageError{fmt.Errorf("%s is missing; give --%s, or the request as JSON with -f", f[0], strings.ReplaceAll(f[0], "_", "-"))}
		}
	}
	return nil
}
