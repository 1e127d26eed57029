package sandbox

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Faults says what goes wrong, as /_sandbox/faults takes and shows it. The zero value is a healthy upstream.
type Faults struct {
	Trouble         // of pushes
	Token   Trouble `json:"token"` // of the two access_token calls
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
	// Waybills are answers for the next pushes of single waybills; they come before what is drawn by chance.
	Waybills map[string]WaybillFault `json:"waybills"`
}

// WaybillFault is what one waybill's next pushes are answered.
type WaybillFault struct {
	Errcode int `json:"errcode"`
	Times   int `json:"times"` // How many of them are left. 0 when it is set: all, until it is cleared.
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
	sum := 0.0
	for _, sh := range t.shares() {
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
		return fmt.Errorf("the shares %sadd up to %g: make it 1 or less, as a request meets one of them", prefix, sum)
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
	errs := []error{f.Trouble.validate(""), f.Token.validate("token."), validShare("expire_tokens", f.ExpireTokens),
		f.Callback.validate()}
	if f.QuotaDay < 0 || f.QuotaMinute < 0 {
		errs = append(errs, errors.New("quota_day and quota_minute are counts; 0 is no limit"))
	}
	for _, id := range slices.Sorted(maps.Keys(f.Waybills)) {
		switch w := f.Waybills[id]; {
		case w.Errcode == codeOK:
			errs = append(errs, fmt.Errorf("waybills.%s: give an errcode other than 0", id))
		case w.Times < 0:
			errs = append(errs, fmt.Errorf("waybills.%s: times is %d; 0 is until it is cleared", id, w.Times))
		}
	}
	return errors.Join(errs...)
}

// clone is a copy that shares nothing with f.
func (f Faults) clone() Faults {
	f.Errcodes = maps.Clone(f.Errcodes)
	f.Token.Errcodes = maps.Clone(f.Token.Errcodes)
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
	if f.ExpireNow {
		s.tokens.expireAll(time.Now())
	}
	s.log.Info("faults set", "faults", s.Faults())
	return nil
}
