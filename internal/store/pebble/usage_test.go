package pebble

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// cpuTime is the processor time that the process used so far, the kernel's share included; 0 where it can't be told.
func cpuTime() time.Duration {
	const tick = 10 * time.Millisecond // Linux, USER_HZ: see proc(5).
	text, _ := os.ReadFile("/proc/self/stat")
	_, rest, _ := strings.Cut(string(text), ") ") // The name before it may hold spaces.
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * tick
}

// procStatus is what Linux says of the process; empty elsewhere.
func procStatus() string {
	text, _ := os.ReadFile("/proc/self/status")
	return string(text)
}
