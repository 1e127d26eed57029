package config

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"carrier/internal/durations"
)

// Duration is a time.Duration that is written as Go writes it, "90s" or "1h30m". A bare 0 is allowed.
type Duration time.Duration

// String is the shortest form: "2m" and not "2m0s".
func (d Duration) String() string {
	if d == 0 {
		return "0"
	}
	return durations.Text(time.Duration(d))
}

// MarshalText writes what String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a Go duration. What is none is an error that shows the form wanted.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return errors.New("is no duration; write a number and a unit (ms, s, m, h), for example 90s or 24h")
	}
	*d = Duration(v)
	return nil
}

// Size is a number of bytes, written as 1MiB, 64KiB or in plain bytes.
type Size int64

// Units of sizes.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
)

var sizeUnits = []struct {
	suffix string
	size   Size
}{{"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}}

// String uses the largest unit that divides it: 1536 is 1536, 2048 is 2KiB.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && s%u.size == 0 {
			return strconv.FormatInt(int64(s/u.size), 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText writes what String does.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a size. What is none, or is beyond 8 EiB, is an error that shows the form wanted.
func (s *Size) UnmarshalText(text []byte) error {
	number, unit := string(text), Size(1)
	for _, u := range sizeUnits {
		if n, ok := strings.CutSuffix(number, u.suffix); ok {
			number, unit = strings.TrimSuffix(n, " "), u.size
			break
		}
	}
	n, err := parseInt(number)
	if err != nil || n > math.MaxInt64/int64(unit) || n < math.MinInt64/int64(unit) {
		return errors.New("is no size; write bytes or a whole number of KiB, MiB or GiB, for example 1MiB")
	}
	*s = Size(n) * unit
	return nil
}

// Numbers as JSON has them: octal, hexadecimal, separators and leading zeros mean different things to different
// readers of YAML.
var (
	wholeNumber   = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
	decimalNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)
)

// parseInt reads a whole number in its plain form.
func parseInt(text string) (int64, error) {
	if !wholeNumber.MatchString(text) {
		return 0, errors.New("is no whole number, for example 64")
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, errors.New("is too large a number")
	}
	return n, nil
}

// parseFloat reads a decimal number in its plain form; neither infinity nor NaN is one.
func parseFloat(text string) (float64, error) {
	if !decimalNumber.MatchString(text) {
		return 0, errors.New("is no number, for example 0.5")
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, errors.New("is too large a number")
	}
	return f, nil
}
