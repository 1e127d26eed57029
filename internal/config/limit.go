package config

import (
	"fmt"
	"reflect"
	"time"
)

// Limits that are stated in more than one place.
const (
	maxConcurrency = 10_000
	// maxTimeout leaves the stop, which ends within 30 s, time to record what became of the last request.
	maxTimeout = 25 * time.Second

	// maxReplicas is JetStream's own limit.
	maxReplicas = 5

	minAPIKey     = 16
	minAdminToken = 32
	minSigning    = 24 // Bytes. Standard Webhooks: a secret has 24 to 64.
)

// limit is the range of a number. The zero value is no limit.
type limit struct {
	set      bool
	min, max float64 // max 0: no upper limit.
	above    bool    // min itself is too small.
}

func atLeast(n float64) limit      { return limit{set: true, min: n} }
func above(n float64) limit        { return limit{set: true, min: n, above: true} }
func between(a, b float64) limit   { return limit{set: true, min: a, max: b} }
func aboveUpTo(a, b float64) limit { return limit{set: true, min: a, max: b, above: true} }

// holds tells whether n is within the limit.
func (l limit) holds(n float64) bool {
	return !l.set || n >= l.min && !(l.above && n == l.min) && (l.max == 0 || n <= l.max)
}

// describe says what the limit asks for, in the units of t.
func (l limit) describe(t reflect.Type) string {
	low, high := inUnits(t, l.min), inUnits(t, l.max)
	switch {
	case l.max != 0 && l.above:
		return fmt.Sprintf("must be above %s and at most %s", low, high)
	case l.max != 0:
		return fmt.Sprintf("must be %s to %s", low, high)
	case l.above:
		return "must be above " + low
	case l.min == 0:
		return "must not be negative"
	}
	return fmt.Sprintf("must be %s or more", low)
}

// inUnits writes a number as a value of type t is written.
func inUnits(t reflect.Type, n float64) string {
	switch t {
	case reflect.TypeFor[Duration]():
		return Duration(n).String()
	case reflect.TypeFor[Size]():
		return Size(n).String()
	}
	return fmt.Sprint(n)
}

// number is the value of a key that limits apply to.
func number(v reflect.Value) (float64, bool) {
	switch v.Kind() {
	case reflect.Int, reflect.Int64:
		return float64(v.Int()), true
	case reflect.Float64:
		return v.Float(), true
	}
	return 0, false
}
