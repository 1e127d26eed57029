package telemetry

import (
	"context"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"strings"

	"golang.org/x/term"
)

// Formats of log lines.
const (
	FormatText = "text"
	FormatJSON = "json"
	FormatAuto = "auto" // Text on a terminal, else JSON: what collects logs reads that.
)

// NewLogger writes lines of at least the given level ("debug", "info", "warn", "error") to w, as text, as JSON, or as fits w
// ("auto").
// Phone numbers are masked in every value that is or prints as a string, and terminal escapes, control characters
// and marks of writing direction are taken out; what strangers send can be logged as it came.
// A level or format that is none is logged as a warning, and "info" and "text" are used.
// [SetLevel] changes the level while the service runs.
func NewLogger(w io.Writer, level, format string) *slog.Logger {
	v := new(slog.LevelVar)
	parsed, err := parseLevel(level)
	v.Set(parsed)
	h := leveled{level: v}
	opts := slog.HandlerOptions{Level: v}
	if format == FormatJSON || format == FormatAuto && !isTerminal(w) {
		opts.ReplaceAttr = replacer(asJSON)
		h.Handler = slog.NewJSONHandler(w, &opts)
	} else {
		opts.ReplaceAttr = replacer(asText)
		h.Handler = slog.NewTextHandler(w, &opts)
	}
	log := slog.New(h)
	if err != nil {
		log.LogAttrs(context.Background(), slog.LevelWarn, "log.level is not known, info is used", slog.Any("err", err))
	}
	if format != FormatJSON && format != FormatText && format != FormatAuto && format != "" {
		log.Warn("log.format is not known, text is used: give auto, text or json", "format", format)
	}
	return log
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// parseLevel reads a level's name, in any case; "" is info. With an error it returns info too.
func parseLevel(name string) (slog.Level, error) {
	switch strings.ToLower(name) {
	case "debug":
		return slog.LevelDebug, nil
	case "info", "":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return slog.LevelInfo, fmt.Errorf("log level %q: give debug, info, warn or error", name)
}

// SetLevel changes the level of l, and of all loggers made from the same [NewLogger] by With. Safe for concurrent use.
func SetLevel(l *slog.Logger, level string) error {
	h, ok := l.Handler().(leveled)
	if !ok {
		return errors.New("this logger's level is fixed: it was not made by telemetry.NewLogger")
	}
	parsed, err := parseLevel(level)
	if err != nil {
		return err
	}
	h.level.Set(parsed)
	return nil
}

// leveled is a handler that knows the variable its level is in.
type leveled struct {
	slog.Handler
	level *slog.LevelVar
}

func (h leveled) WithAttrs(attrs []slog.Attr) slog.Handler {
	return leveled{h.Handler.WithAttrs(attrs), h.level}
}

func (h leveled) WithGroup(name string) slog.Handler {
	return leveled{h.Handler.WithGroup(name), h.level}
}

// replacer makes every value safe to log. render is how the format would print a value that is no string.
func replacer(render func(any) (string, bool)) func([]string, slog.Attr) slog.Attr {
	return func(_ []string, a slog.Attr) slog.Attr {
		switch a.Value.Kind() {
		case slog.KindString:
			a.Value = slog.StringValue(safe(a.Value.String()))
		case slog.KindDuration: // With its unit: JSON would have a number of nanoseconds.
			a.Value = slog.StringValue(a.Value.Duration().String())
		case slog.KindAny:
			a.Value = safeAny(a.Value, render)
		}
		return a
	}
}

func safe(s string) string { return MaskPhones(clean(s)) }

// safeAny replaces a value that prints as a string by that string, and any other by its text if there is something
// to hide in it. A value whose methods panic is left to the handler, which says so in the line.
func safeAny(v slog.Value, render func(any) (string, bool)) (out slog.Value) {
	defer func() {
		if recover() != nil {
			out = v
		}
	}()
	if text, ok := textOf(v.Any()); ok {
		return slog.StringValue(safe(text))
	}
	text, ok := render(v.Any())
	if !ok {
		return v
	}
	if hidden := safe(text); hidden != text {
		return slog.StringValue(hidden)
	}
	return v
}

// textOf is the text of a value that has one of its own.
func textOf(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "", false
	case error:
		return v.Error(), true
	case encoding.TextMarshaler:
		text, err := v.MarshalText()
		return string(text), err == nil
	case fmt.Stringer:
		return v.String(), true
	}
	return "", false
}

func asText(v any) (string, bool) {
	if t := reflect.TypeOf(v); t != nil && t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
		return string(reflect.ValueOf(v).Bytes()), true // The text handler prints bytes as a string.
	}
	return fmt.Sprintf("%+v", v), true
}

func asJSON(v any) (string, bool) {
	text, err := json.Marshal(v)
	return string(text), err == nil
}
