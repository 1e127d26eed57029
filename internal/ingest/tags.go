package ingest

import (
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-playground/validator/v10"

	"carrier/internal/durations"
	"carrier/internal/problem"
	"carrier/internal/state"
)

// tagged is an event with its rules as validator tags: the readable form of what rules.kept checks, and the one that
// finds out what to tell a sender. Numbers are pointers, so that 0 is not taken for a number left out.
type tagged struct {
	ID         string `json:"id" validate:"required,max_chars=128,printable"`
	DeliveryID string `json:"delivery_id" validate:"required,known_delivery_id"`
	WaybillID  string `json:"waybill_id" validate:"required,max_chars=64,one_word"`
	ActionType *int64 `json:"action_type" validate:"required,action_type"`
	ActionTime *int64 `json:"action_time" validate:"required,positive,seconds,not_future,not_too_old"`
	ActionMsg  string `json:"action_msg" validate:"required,max_msg_bytes"`
	Token      string `json:"token" validate:"max_bytes=256"`

	rules *rules
	now   time.Time
}

// tagRules says which rule a tag stands for. Every tag in use has one; a test proves it.
var tagRules = map[string]rule{
	"required":          ruleRequired,
	"max_chars":         ruleMaxChars,
	"max_bytes":         ruleMaxBytes,
	"max_msg_bytes":     ruleMaxBytes,
	"printable":         rulePrintable,
	"one_word":          ruleOneWord,
	"known_delivery_id": ruleKnownDeliveryID,
	"action_type":       ruleActionType,
	"positive":          rulePositive,
	"seconds":           ruleSeconds,
	"not_future":        ruleNotFuture,
	"not_too_old":       ruleNotTooOld,
}

// tagChecks are the tags that validator does not bring along.
var tagChecks = map[string]validator.Func{
	"max_chars": func(fl validator.FieldLevel) bool {
		return utf8.RuneCountInString(fl.Field().String()) <= intParam(fl)
	},
	"max_bytes":     func(fl validator.FieldLevel) bool { return len(fl.Field().String()) <= intParam(fl) },
	"max_msg_bytes": func(fl validator.FieldLevel) bool { return len(fl.Field().String()) <= whole(fl).rules.maxMsg },
	"printable":     func(fl validator.FieldLevel) bool { return isPrintable([]byte(fl.Field().String())) },
	"one_word":      func(fl validator.FieldLevel) bool { return state.OneWord([]byte(fl.Field().String())) },
	"known_delivery_id": func(fl validator.FieldLevel) bool {
		_, ok := whole(fl).rules.deliveryIDs[fl.Field().String()]
		return ok
	},
	"action_type": func(fl validator.FieldLevel) bool { return isActionType(fl.Field().Int()) },
	"positive":    func(fl validator.FieldLevel) bool { return fl.Field().Int() > 0 },
	"seconds":     func(fl validator.FieldLevel) bool { return fl.Field().Int() < firstMilliseconds },
	"not_future": func(fl validator.FieldLevel) bool {
		return !whole(fl).rules.tooFarAhead(fl.Field().Int(), whole(fl).now)
	},
	"not_too_old": func(fl validator.FieldLevel) bool {
		return !whole(fl).rules.tooOld(fl.Field().Int(), whole(fl).now)
	},
}

// whole is the event that the field belongs to.
func whole(fl validator.FieldLevel) *tagged { return fl.Top().Interface().(*tagged) }

// intParam is the number behind the tag's equals sign. Tags are constants of this file: a wrong one panics in any test.
func intParam(fl validator.FieldLevel) int {
	n := 0
	for _, c := range fl.Param() {
		n = n*10 + int(c-'0')
	}
	return n
}

// newValidator knows the tags of tagged and names fields as JSON does.
func newValidator() (*validator.Validate, error) {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		return name
	})
	for tag, check := range tagChecks {
		if err := v.RegisterValidation(tag, check); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// tagged is w in the form that the validator reads.
func (r *rules) tagged(w *wire, now time.Time) *tagged {
	t := &tagged{
		ID: string(w.id), DeliveryID: string(w.deliveryID), WaybillID: string(w.waybillID),
		ActionMsg: string(w.actionMsg), Token: string(w.token),
		rules: r, now: now,
	}
	if w.has&fieldDeliveryID == 0 {
		t.DeliveryID = r.only
	}
	if w.has&fieldActionType != 0 {
		t.ActionType = new(w.actionType)
	}
	if w.has&fieldActionTime != 0 {
		t.ActionTime = new(w.actionTime)
	}
	return t
}

// explain adds what the validator finds in w, a rule a field, where nothing is said about the field yet. known are
// the accounts that the sender may hear of; name is how the sender calls a field.
func (r *rules) explain(errs *fieldErrors, w *wire, now time.Time, known []string, name func(string) string) {
	t := r.tagged(w, now)
	found, _ := r.validate.Struct(t).(validator.ValidationErrors)
	for _, f := range found {
		if field := name(f.Field()); !errs.about(field) {
			broken := tagRules[f.Tag()]
			errs.add(field, broken, r.messageArgs(broken, f, known)...)
		}
	}
}

// messageArgs are what a rule's message says beside the rule.
func (r *rules) messageArgs(broken rule, f validator.FieldError, known []string) []any {
	switch broken {
	case ruleMaxChars:
		return []any{f.Param()}
	case ruleMaxBytes:
		if f.Param() == "" {
			return []any{strconv.Itoa(r.maxMsg)}
		}
		return []any{f.Param()}
	case ruleKnownDeliveryID:
		return []any{knownText(known)}
	case ruleNotFuture:
		return []any{durations.Text(r.maxFuture)}
	case ruleNotTooOld:
		return []any{durations.Text(r.maxAge)}
	}
	return nil
}

// knownText lists accounts, or says that there is none.
func knownText(known []string) problem.Text {
	if len(known) == 0 {
		return problem.Text{En: "none, as no account is configured", Zh: "无（尚未配置账户）"}
	}
	return problem.Text{En: listed(known), Zh: listed(known)}
}
