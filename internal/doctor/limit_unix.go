//go:build unix

package doctor

import "syscall"

// permissions tells that the modes of files say who may read them.
const permissions = true

// openFilesLimit is how many files and connections a process of this user may have open; Go raises a process's own to it.
func openFilesLimit() (n uint64, ok bool) {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0, false
	}
	return uint64(limit.Max), true
}
