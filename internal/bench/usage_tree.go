package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// ticks is how many of /proc's units of time make a second (USER_HZ: 100 on every Linux that Go runs on).
const ticks = 100

// treeSeconds is the CPU time of a process and its children, those included that have ended; 0 where there is no /proc.
func treeSeconds(pid int) float64 {
	own, reaped, ok := processTicks(pid)
	if !ok {
		return 0
	}
	sum := own + reaped
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid)) // None: nothing to add.
	for _, child := range bytes.Fields(children) {
		if n, err := strconv.Atoi(string(child)); err == nil {
			own, _, _ := processTicks(n)
			sum += own
		}
	}
	return float64(sum) / ticks
}

// processTicks reads proc_pid_stat(5): the time of a process itself, and that of children that it has waited for.
func processTicks(pid int) (own, reaped uint64, ok bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, false
	}
	// The second field is the name in brackets, which may hold anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const utime = 14 - 3 // The first field here is number 3.
	if len(fields) < utime+4 {
		return 0, 0, false
	}
	var t [4]uint64 // utime, stime, cutime, cstime
	for i := range t {
		t[i], _ = strconv.ParseUint(string(fields[utime+i]), 10, 64)
	}
	return t[0] + t[1], t[2] + t[3], true
}
