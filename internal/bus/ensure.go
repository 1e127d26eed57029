package bus

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// askWithin is how long one question to JetStream may take.
const askWithin = 5 * time.Second

// harmError says that an object is so that it would lose messages, or has none to give.
type harmError struct{ differences []Difference }

func (e *harmError) Error() string {
	lines := make([]string, len(e.differences))
	for i, d := range e.differences {
		lines[i] = fmt.Sprintf("%s (%s)", d, d.How.En)
	}
	return strings.Join(lines, "; ") + "; see carrier nats plan"
}

// ensure makes what a step is about if it is missing, and refuses it if it can't work so. It never changes what is
// there.
func ensure(ctx context.Context, s step, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	differences, err := s.compare(ctx)
	if err == nil && isMissing(differences) {
		object := differences[0].Object
		if err = s.apply(ctx, differences); err == nil {
			log.Info("made on the NATS server, where it was missing", "object", object)
			differences, err = s.compare(ctx)
		}
	}
	if err != nil {
		return err
	}
	if harm := harmful(differences); len(harm) > 0 {
		return &harmError{harm}
	}
	return nil
}
