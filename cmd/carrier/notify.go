package main

import (
	"errors"
	"net"
	"strings"
)

// What a service manager is told (systemd, sd_notify(3)): of Type=notify it waits for ready before it starts what comes
// after this unit.
const (
	notifyReady    = "READY=1"
	notifyStopping = "STOPPING=1"
)

// notify tells the service manager a state. It does nothing where none asked to be told, by NOTIFY_SOCKET.
func (w *world) notify(state string) error {
	address := w.getenv("NOTIFY_SOCKET")
	if address == "" {
		return nil
	}
	// A name in the abstract namespace is written with an @; package net takes it so, too.
	if !strings.HasPrefix(address, "@") && !strings.HasPrefix(address, "/") {
		return nil // vsock and others, of virtual machines that we are not.
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		return err
	}
	_, err = conn.Write([]byte(state))
	return errors.Join(err, conn.Close())
}
