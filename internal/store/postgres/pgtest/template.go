package pgtest

import (
	"context"
	"sync"
	"testing"
	"time"
)

// Template is what the databases of many tests begin with. It is filled once in a test binary, and copied for each
// test, which takes a fraction of the time that filling does.
type Template struct {
	// Fill fills an empty database. Nobody may be connected to it afterwards.
	Fill func(ctx context.Context, url string) error

	once sync.Once
	name string
	err  error
}

// Start gives a copy on the test binary's server, dropped as one of [Start] is.
func (tp *Template) Start(t testing.TB) *Database {
	t.Helper()
	s := sharedServer(t)
	tp.once.Do(func() { tp.name, tp.err = s.fill(tp.Fill) })
	if tp.err != nil {
		t.Fatalf("fill the template of databases: %v", tp.err)
	}
	return s.database(t, tp.name)
}

// fillTimeout bounds the filling of a template.
const fillTimeout = 20 * time.Second

// fill makes a database that stays as long as the server does.
func (s *Server) fill(fill func(ctx context.Context, url string) error) (name string, err error) {
	name = newName()
	if err := s.Exec("CREATE DATABASE " + name); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), fillTimeout)
	defer cancel()
	return name, fill(ctx, s.URL(name))
}
