//go:build !linux

package pglocal

import (
	"errors"
	"os"
	"syscall"
)

// runAs is the user that PostgreSQL runs as: here always the current one.
type runAs struct{}

func otherUser() (*runAs, error) {
	if os.Geteuid() == 0 {
		return nil, errors.New("PostgreSQL refuses to run as root: do this as another user")
	}
	return nil, nil
}

func (*runAs) own(string) error { return nil }

func (*runAs) attributes() *syscall.SysProcAttr { return nil }
