package bench

import (
	"bytes"
	"os"
	"strconv"
)

// used reads what this process has used so far.
func used() usage {
	u := usage{CPUSeconds: cpuSeconds()}
	// Linux: proc_pid_status(5). Elsewhere there is no such file, and memory is not known.
	status, err := os.ReadFile("/proc/self/status")
	if err == nil {
		u.RSS, u.PeakRSS = kibibytes(status, "VmRSS:"), kibibytes(status, "VmHWM:")
	}
	return u
}

// kibibytes reads a line of /proc/self/status, in bytes.
func kibibytes(status []byte, name string) uint64 {
	_, rest, _ := bytes.Cut(status, []byte("\n"+name))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.ParseUint(string(fields[0]), 10, 64) // 0: not known.
	return n << 10
}
