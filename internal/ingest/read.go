package ingest

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"time"

	"carrier/internal/problem"
	"carrier/internal/state"
)

// reading is what came of one event's text: an event that keeps all rules, or a problem.
type reading struct {
	event   state.Event
	id      string // The event's; empty if it could not be read, or is not fit to be repeated.
	problem *problem.Problem
}

// read reads one event from text, which is not checked in any way yet. h is used in binary mode, and for the id of a
// message's event that has none; nil is an empty one.
func (r *rules) read(text []byte, f format, h http.Header, s *source, now time.Time) reading {
	if p := readable(text); p != nil {
		return reading{problem: p}
	}
	return r.readValue(bytes.TrimSpace(text), f, h, s, now)
}

// readValue is read for text that is known to be one JSON value in UTF-8, without space around it.
func (r *rules) readValue(value []byte, f format, h http.Header, s *source, now time.Time) reading {
	switch f {
	case formatCloudEvent, formatCloudEventBatch:
		e, errs := openEnvelope(value)
		return r.readEnveloped(&e, errs, names{id: "id", data: "data."}, s, now)
	case formatBinary:
		e, errs := openHeaders(h)
		e.data = value
		return r.readEnveloped(&e, errs, names{id: "ce-id"}, s, now)
	}
	var w wire
	errs := decode(value, &w)
	if kindOf(value) != kindObject {
		return reading{problem: invalid(errs)} // That says it all: no field could be there.
	}
	n := names{id: "id"}
	if s.msgID && w.has&fieldID == 0 && !errs.about(n.id) {
		n.id = w.takeMsgID(&errs, h)
	}
	return r.judge(&w, errs, n, s, now)
}

// names is how a sender calls the fields of an event.
type names struct {
	id   string // The id.
	data string // What stands before the others.
}

func (n names) of(field string) string {
	if field == "id" {
		return n.id
	}
	return n.in(field)
}

// in is how a field of the data is called, the id among them; an empty one stands for the data itself.
func (n names) in(field string) string {
	if field == "" {
		return strings.TrimSuffix(n.data, ".")
	}
	return n.data + field
}

// readEnveloped reads a CloudEvent's data and gives it the envelope's id.
func (r *rules) readEnveloped(e *envelope, errs fieldErrors, n names, s *source, now time.Time) reading {
	var w wire
	if e.data != nil {
		for _, found := range decode(e.data, &w) {
			found.Field = n.in(found.Field)
			errs = append(errs, found)
		}
	}
	if w.has&fieldID != 0 && len(e.id) > 0 && !bytes.Equal(w.id, e.id) {
		errs.add(n.in("id"), ruleIDMismatch)
	}
	w.id, w.has = e.id, w.has|fieldID
	if e.data == nil || kindOf(e.data) != kindObject {
		return reading{id: w.repeatableID(), problem: invalid(errs)}
	}
	got := r.judge(&w, errs, n, s, now)
	if got.problem == nil {
		got.event.Trace = attributeTrace(e.trace)
	}
	return got
}

// judge makes an event of w if nothing is wrong with it.
func (r *rules) judge(w *wire, errs fieldErrors, n names, s *source, now time.Time) reading {
	if len(errs) > 0 || !r.kept(w, now) {
		r.explain(&errs, w, now, s.known, n.of)
		return reading{id: w.repeatableID(), problem: invalid(errs)}
	}
	e := r.event(w, s.name)
	if !s.may(e.DeliveryID) {
		return reading{id: e.ID, problem: forbidden(n.of("delivery_id"), s)}
	}
	return reading{event: e, id: e.ID}
}

// repeatableID is the id if it keeps its rules.
func (w *wire) repeatableID() string {
	if !withinChars(w.id, maxIDChars) || !isPrintable(w.id) {
		return ""
	}
	return string(w.id)
}

func forbidden(field string, s *source) *problem.Problem {
	p := problem.New(problem.ForbiddenDeliveryID).With("verdict", state.Invalid)
	p.Errors = []problem.FieldError{ruleForbiddenDeliveryID.on(field, knownText(s.known))}
	return p
}

// invalid tells of an event's broken rules, the first of them in the detail too: that is what people read.
func invalid(errs fieldErrors) *problem.Problem {
	p := problem.New(problem.InvalidEvent).With("verdict", state.Invalid)
	p.Errors = errs
	if len(errs) > 0 {
		p.Detail = problem.Text{
			En: "The event was not kept. Correct it and send it again: " + summary(errs, problem.English) + ".",
			Zh: "事件未保存。请修改后重新发送：" + summary(errs, problem.Chinese) + "。",
		}
	}
	return p
}

func summary(errs fieldErrors, l problem.Language) string {
	const most = 3
	space, between, whole, more := " ", "; ", "the event", "; and %d more under errors"
	if l == problem.Chinese {
		space, between, whole, more = " ", "；", "事件", "；另有 %d 处见 errors"
	}
	var b strings.Builder
	for i, e := range errs[:min(most, len(errs))] {
		if i > 0 {
			b.WriteString(between)
		}
		name := e.Field
		if name == "" {
			name = whole
		}
		b.WriteString(name + space + e.Message.In(l))
	}
	if n := len(errs) - most; n > 0 {
		fmt.Fprintf(&b, more, n)
	}
	return b.String()
}
