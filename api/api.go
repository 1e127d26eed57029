// Package api holds what describes the service to those who call it: the HTTP interface (OpenAPI) and the schema of an
// event. The service serves them; tests hold the service to them.
package api

import _ "embed"

// OpenAPI is the description of the HTTP interface, OpenAPI 3.1 in YAML.
//
//go:embed openapi.yaml
var OpenAPI string

// EventSchema is the JSON Schema (2020-12) of an event, for senders that check before they send.
//
//go:embed event.schema.json
var EventSchema string

// AsyncAPI is the description of the NATS interface, AsyncAPI 3.0 in YAML. It refers to OpenAPI as openapi.yaml.
//
//go:embed asyncapi.yaml
var AsyncAPI string
