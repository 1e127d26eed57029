package apicheck

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"carrier/api"
)

// Async is the description of the NATS interface, ready to be asked. What it refers to in the other description is
// found there. It is safe for concurrent use.
type Async struct{ *description }

var loadAsync = sync.OnceValues(func() (*Async, error) { return ParseAsync(api.AsyncAPI) })

// LoadAsync reads the description that the service serves, once.
func LoadAsync() (*Async, error) { return loadAsync() }

// ParseAsync reads a description in YAML that refers to the service's own of HTTP.
func ParseAsync(text string) (*Async, error) {
	open, err := both(text)
	if err != nil {
		return nil, err
	}
	closed, err := both(text)
	if err != nil {
		return nil, err
	}
	for _, document := range closed {
		closeAll(document)
	}
	closeMessages(closed[asyncapiLocation])
	d, err := describe(asyncapiLocation, open, closed)
	if err != nil {
		return nil, err
	}
	return &Async{d}, nil
}

// both are the two descriptions, by their locations.
func both(asyncapi string) (map[string]any, error) {
	documents := map[string]any{}
	for location, text := range map[string]string{asyncapiLocation: asyncapi, openapiLocation: api.OpenAPI} {
		root, err := tree(text)
		if err != nil {
			return nil, err
		}
		documents[location] = root
	}
	return documents, nil
}

// closeMessages closes the schemas of what messages hold.
func closeMessages(root any) {
	for _, message := range values(member(member(root, "components"), "messages")) {
		if payload, is := message["payload"].(map[string]any); is {
			closeSchema(payload, true)
		}
	}
}

// Message holds a message against one of components.messages: its headers, and its payload, which is JSON. Strict says
// that members of the payload which it does not name are wrong.
func (a *Async) Message(name string, headers map[string]string, payload []byte, strict bool) error {
	message, ok := a.At("components", "messages", name)
	if !ok {
		return fmt.Errorf("there is no message %s", name)
	}
	if _, told := a.Member(message, "headers"); told {
		asJSON, err := json.Marshal(headers)
		if err != nil {
			return err
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
		if err != nil {
			return err
		}
		if err := a.Validate(message.Pointer+"/headers", value, false); err != nil {
			return fmt.Errorf("the headers of %s: %w", name, err)
		}
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(payload))
	if err != nil {
		return fmt.Errorf("the payload of %s: %w", name, err)
	}
	if err := a.Validate(message.Pointer+"/payload", value, strict); err != nil {
		return fmt.Errorf("the payload of %s: %w", name, err)
	}
	return nil
}
