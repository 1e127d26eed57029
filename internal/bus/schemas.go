package bus

import (
	"bytes"
	"encoding/json"

	"carrier/api"
)

// schemas are the JSON Schemas that $SRV.INFO tells of each endpoint. A test compares those below with api/asyncapi.yaml,
// which says more: batches, CloudEvents and problems.
var schemas = map[string]map[string]string{
	"submit": {"request_schema": compact(api.EventSchema), "response_schema": compact(eventAnswerSchema)},
	"token":  {"request_schema": compact(tokenRequestSchema), "response_schema": compact(tokenAnswerSchema)},
}

const eventAnswerSchema = `{
	"type": "object",
	"required": ["id", "waybill_id", "verdict", "stage", "seq"],
	"properties": {
		"id": {"type": "string"},
		"waybill_id": {"type": "string"},
		"verdict": {"type": "string", "enum": ["accepted", "held", "ignored", "duplicate"]},
		"stage": {"type": "string", "enum": ["created", "assigned", "pickup_failed", "picked_up", "in_transit", "out_for_delivery",
			"delivery_failed", "held_before_pickup", "held_after_pickup", "delivered", "cancelled"]},
		"reason": {"type": "string", "enum": ["", "missing_scan", "behind_held", "repeats_stage", "repeats_event",
			"illegal_transition", "contradicts_later_event"]},
		"late": {"type": "boolean"},
		"gap": {"type": "boolean"},
		"seq": {"type": "integer", "format": "int64", "minimum": 1},
		"original": {"type": "string", "enum": ["accepted", "held", "ignored", "rejected"]}
	}
}`

const tokenRequestSchema = `{
	"type": "object",
	"additionalProperties": false,
	"required": ["waybill_id", "token"],
	"properties": {
		"waybill_id": {"type": "string", "minLength": 1, "maxLength": 64},
		"token": {"type": "string", "minLength": 1}
	}
}`

const tokenAnswerSchema = `{
	"type": "object",
	"required": ["delivery_id", "waybill_id", "changed"],
	"properties": {
		"delivery_id": {"type": "string"},
		"waybill_id": {"type": "string"},
		"changed": {"type": "boolean"}
	}
}`

// compact takes the white space out of JSON that is a constant of ours.
func compact(text string) string {
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		panic("bus: a schema is no JSON: " + err.Error())
	}
	return b.String()
}
