package wiretest

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

func TestNobody(t *testing.T) {
	address := Nobody(t)
	if conn, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connected to %v, error %v; want it refused", conn, err)
	}
	if l, err := net.Listen("tcp", address); err == nil {
		_ = l.Close()
		t.Error("somebody else may listen there")
	}
}
