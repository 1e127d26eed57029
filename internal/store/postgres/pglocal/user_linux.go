package pglocal

import (
	"errors"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// runAs is the user that PostgreSQL runs as: nil is the current one.
type runAs struct{ uid, gid int }

// otherUser picks who PostgreSQL runs as: only root needs another user.
func otherUser() (*runAs, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err == nil && err2 == nil {
			return &runAs{uid: uid, gid: gid}, nil
		}
	}
	return nil, errors.New("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody")
}

// own gives a folder to the user.
func (u *runAs) own(folder string) error {
	if u == nil {
		return nil
	}
	return os.Chown(folder, u.uid, u.gid)
}

// attributes are those of a child that runs as the user and goes when the thread that started it does: a process
// that panics or is killed leaves no server behind. SIGQUIT is PostgreSQL's immediate shutdown.
func (u *runAs) attributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
	if u != nil {
		a.Credential = &syscall.Credential{Uid: uint32(u.uid), Gid: uint32(u.gid)}
	}
	return a
}
