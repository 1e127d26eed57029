package server

import (
	"fmt"
	"runtime/debug"
)

// panicError is a handler's panic. Its text names only the type of what was thrown, which may hold a secret.
type panicError struct {
	thrown any
	stack  string
}

func newPanicError(r any) *panicError { return &panicError{r, string(debug.Stack())} }

func (p *panicError) Error() string {
	if err, ok := p.thrown.(error); ok {
		return fmt.Sprintf("panic: %T: %v", p.thrown, err)
	}
	return fmt.Sprintf("panic: %T", p.thrown)
}

// Stack is where it was.
func (p *panicError) Stack() string { return p.stack }
