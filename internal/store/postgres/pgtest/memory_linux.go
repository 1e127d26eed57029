package pgtest

import (
	"os"
	"syscall"
)

// memoryFolder is where files stay in memory, so that a sync of the disk costs nothing: what a crash of the machine
// would lose, no test sees. "" if there is none with room enough for a test binary's databases.
func memoryFolder() string {
	const folder, room = "/dev/shm", 2 << 30
	var fs syscall.Statfs_t
	if syscall.Statfs(folder, &fs) != nil || fs.Bavail*uint64(fs.Bsize) < room {
		return ""
	}
	probe, err := os.MkdirTemp(folder, "pgtest-")
	if err != nil {
		return ""
	}
	_ = os.Remove(probe) // An empty folder of our own.
	return folder
}
