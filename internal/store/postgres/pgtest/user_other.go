//go:build !linux

package pgtest

import (
	"errors"
	"os"
	"syscall"
)

// runAs is the user that PostgreSQL runs as: here always the current one.
type runAs struct{}

func otherUser() (*runAs, error) {
	if os.Geteuid() == 0 {
		return nil, errors.New("PostgreSQL refuses to run as root: run these tests as another user")
	}
	return nil, nil
}

func (*runAs) own(string) error { return nil }

func (*runAs) attributes() *syscall.SysProcAttr { return nil }
