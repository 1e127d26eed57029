package sandbox

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Faults says what goes wrong, as /_sandbox/faults takes and shows it. The zero value is a healthy upstream.
type Faults struct {
	Trouble          // of pushes
	Token    Trouble `json:"token"`    // of the two access_token calls
	Business Trouble `json:"business"` // of path/get, order/get, order/batchget and test_update_order
	// Trace is what the customer sees otherwise than it was pushed, though the push was answered with success.
	Trace TraceFaults `json:"trace"`
	// Callback is what befalls WeChat's own pushes to the carriers.
	Callback CallbackFaults `json:"callback"`

	// Outage closes every connection to upstream's calls at once, without an answer.
	Outage bool `json:"outage"`
	// ExpireTokens is the share of pushes at which the access_token that they bring dies (42001).
	ExpireTokens float64 `json:"expire_tokens"`
	// ExpireNow ends every access_token at the moment it is set. It is an act, and shown as false afterwards.
	ExpireNow bool `json:"expire_now"`
	// QuotaDay and QuotaMinute are how many pushes of one appid are taken per day in Beijing (45009) and per minute
	// (45011), counted from when the faults were set. 0: no limit.
	QuotaDay    int `json:"quota_day"`
	QuotaMinute int `json:"quota_minute"`
	// Waybills are what befalls the next pushes of single waybills; it comes before what is drawn by chance.
	Waybills map[string]WaybillFault `json:"waybills"`
}

// WaybillFault is what befalls one waybill's next pushes: an errcode, or another fault.
type WaybillFault struct {
	Errcode int `json:"errcode,omitzero"`
	// Fault is one of the faults by name: of Trouble ("resets": applied, and the answer is lost), or of TraceFaults.
	Fault string `json:"fault,omitzero"`
	Times int    `json:"times"` // How many pushes are left. 0 when it is set: all, until it is cleared.
}

// hit is what the next push meets.
func (w *WaybillFault) hit() hit {
	switch f := fault(w.Fault); {
	case w.Errcode != codeOK:
		return hit{fault: errcodes, code: w.Errcode}
	case slices.Contains(traceFaults, f):
		return hit{trace: f}
	case f == busy:
		return hit{fault: f, code: codeBusy}
	default:
		return hit{fault: f}
	}
}

func (w *WaybillFault) validate() error {
	switch names := waybillFaults(); {
	case w.Errcode == codeOK && w.Fault == "":
		return fmt.Errorf("give an errcode other than 0, or a fault: %s", strings.Join(names, ", "))
	case w.Errcode != codeOK && w.Fault != "":
		return errors.New("give an errcode or a fault, not both")
	case w.Fault != "" && !slices.Contains(names, w.Fault):
		return fmt.Errorf("there is no fault %.64q; there are %s", w.Fault, strings.Join(names, ", "))
	case w.Times < 0:
		return fmt.Errorf("times is %d; 0 is until it is cleared", w.Times)
	}
	return nil
}

// waybillFaults are the names that WaybillFault.Fault may have.
func waybillFaults() (names []string) {
	for _, sh := range new(Trouble).shares() {
		names = append(names, string(sh.fault))
	}
	for _, f := range traceFaults {
		names = append(names, string(f))
	}
	return names
}

// TraceFaults befall a share (0 to 1) of the nodes that are applied and answered with success. They exclude each
// other. Only the first push of a node meets them: pushed again it is shown as it is, so that what is missing can be
// mended. /_sandbox/nodes tells which nodes they befell.
type TraceFaults struct {
	Drop      float64 `json:"drop"`      // The node is not shown.
	Duplicate float64 `json:"duplicate"` // It is shown twice.
	Change    float64 `json:"change"`    // It is shown with another text.
}

var traceFaults = []fault{drop, duplicate, change}

func (t *TraceFaults) shares() []share {
	return []share{{drop, 0, t.Drop}, {duplicate, 0, t.Duplicate}, {change, 0, t.Change}}
}

// Trouble is what befalls a share (0 to 1) of the requests of one kind. The shares exclude each other: together they
// are at most 1.
type Trouble struct {
	// Latency, and up to Jitter more, is waited before every answer, good or bad.
	Latency Duration `json:"latency"`
	Jitter  Duration `json:"jitter"`

	Busy         float64 `json:"busy"`          // errcode -1
	ResetsBefore float64 `json:"resets_before"` // the connection is reset, nothing was done
	Resets       float64 `json:"resets"`        // the connection is reset, all was done
	HTML         float64 `json:"html"`          // a page, with status 200
	HalfJSON     float64 `json:"half_json"`     // an answer that ends in the middle
	Empty        float64 `json:"empty"`         // status 200 and no body
	Redirect     float64 `json:"redirect"`      // 307; who follows it is counted
	Huge         float64 `json:"huge"`          // errcode 0 in 8 MiB of JSON
	Hang         float64 `json:"hang"`          // no answer until the client goes
	NoErrcode    float64 `json:"no_errcode"`    // a JSON object without errcode
	HTTP500      float64 `json:"http_500"`      // 500, 502, 503 or 504

	Errcodes map[int]float64 `json:"errcodes"` // the share of each errcode
}

// Duration is a time.Duration that reads and writes itself as in "50ms".
type Duration time.Duration

// MarshalText writes d as time.Duration does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration does.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf(`%q is no duration: write it like "50ms" or "1.5s"`, text)
	}
	*d = Duration(v)
	return nil
}

// fault is what befalls one request, by its name in Faults.
type fault string

const (
	none         fault = ""
	busy         fault = "busy"
	resetsBefore fault = "resets_before"
	resets       fault = "resets"
	html         fault = "html"
	halfJSON     fault = "half_json"
	empty        fault = "empty"
	redirect     fault = "redirect"
	huge         fault = "huge"
	hang         fault = "hang"
	noErrcode    fault = "no_errcode"
	http500      fault = "http_500"
	errcodes     fault = "errcodes" // One of Trouble.Errcodes, or of Faults.Waybills.

	// Of TraceFaults:
	drop      fault = "drop"
	duplicate fault = "duplicate"
	change    fault = "change"
)

// before tells whether a request that meets f is never worked on.
func (f fault) before() bool {
	switch f {
	case none, resets, hang, halfJSON, huge:
		return false
	}
	return true
}

// spoils tells whether f puts something else in the place of an answer.
func (f fault) spoils() bool { return f != none && f != busy && f != errcodes }

// share is one line of a Trouble.
type share struct {
	fault fault
	code  int // of busy and errcodes
	of    float64
}

// shares lists t's shares, in an order that does not change between runs.
func (t *Trouble) shares() []share {
	all := []share{
		{busy, codeBusy, t.Busy}, {resetsBefore, 0, t.ResetsBefore}, {resets, 0, t.Resets}, {html, 0, t.HTML},
		{halfJSON, 0, t.HalfJSON}, {empty, 0, t.Empty}, {redirect, 0, t.Redirect}, {huge, 0, t.Huge},
		{hang, 0, t.Hang}, {noErrcode, 0, t.NoErrcode}, {http500, 0, t.HTTP500},
	}
	for _, code := range slices.Sorted(maps.Keys(t.Errcodes)) {
		all = append(all, share{errcodes, code, t.Errcodes[code]})
	}
	return all
}

func (t *Trouble) validate(prefix string) error {
	var errs []error
	if t.Latency < 0 || t.Jitter < 0 {
		errs = append(errs, fmt.Errorf("%slatency and %sjitter can't be negative", prefix, prefix))
	}
	return errors.Join(errors.Join(errs...), validShares(prefix, t.shares()))
}

// validShares tells what is wrong with shares that exclude each other.
func validShares(prefix string, shares []share) error {
	var errs []error
	sum := 0.0
	for _, sh := range shares {
		name := prefix + string(sh.fault)
		if sh.fault == errcodes {
			name += "." + strconv.Itoa(sh.code)
			if sh.code == codeOK {
				errs = append(errs, fmt.Errorf("%s: errcode 0 is success, not a fault", name))
			}
		}
		errs = append(errs, validShare(name, sh.of))
		sum += sh.of
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if sum > 1+1e-9 {
		which := "the shares"
		if prefix != "" {
			which += " of " + strings.TrimSuffix(prefix, ".")
		}
		return fmt.Errorf("%s add up to %g: make it 1 or less, as a request meets one of them", which, sum)
	}
	return nil
}

func validShare(name string, v float64) error {
	if v >= 0 && v <= 1 { // False for NaN, too.
		return nil
	}
	return fmt.Errorf("%s is %g: a share is from 0 to 1", name, v)
}

// validate tells everything that is wrong with f.
func (f *Faults) validate() error {
	errs := []error{f.Trouble.validate(""), f.Token.validate("token."), f.Business.validate("business."),
		validShares("trace.", f.Trace.shares()), validShare("expire_tokens", f.ExpireTokens), f.Callback.validate()}
	if f.QuotaDay < 0 || f.QuotaMinute < 0 {
		errs = append(errs, errors.New("quota_day and quota_minute are counts; 0 is no limit"))
	}
	for _, id := range slices.Sorted(maps.Keys(f.Waybills)) {
		w := f.Waybills[id]
		if err := w.validate(); err != nil {
			errs = append(errs, fmt.Errorf("waybills.%s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

// clone is a copy that shares nothing with f.
func (f Faults) clone() Faults {
	f.Errcodes = maps.Clone(f.Errcodes)
	f.Token.Errcodes = maps.Clone(f.Token.Errcodes)
	f.Business.Errcodes = maps.Clone(f.Business.Errcodes)
	f.Waybills = maps.Clone(f.Waybills)
	return f
}

// Faults is what goes wrong now.
func (s *Sandbox) Faults() Faults { return s.faults.current() }

// SetFaults replaces what goes wrong; the zero value heals all. The error names each field that can't be.
func (s *Sandbox) SetFaults(f Faults) error {
	if err := s.faults.replace(f); err != nil {
		return err
	}
	s.usage.reset()
	if f.ExpireNow {
		s.tokens.expireAll(time.Now())
	}
	s.log.Info("faults set", "faults", s.Faults())
	return nil
}
