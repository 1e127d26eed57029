package doctor

import "syscall"

// fileSystems are the kinds of file systems that matter here, by the number that statfs(2) lists.
var fileSystems = map[uint32]string{
	0x01021994: "tmpfs", 0x858458f6: "ramfs", 0x6969: "nfs", 0x517b: "smb", 0xfe534d42: "smb", 0xff534d42: "smb", 0x65735546: "fuse",
}

// fileSystem names the kind of file system that a folder is on, if that matters here; else "".
func fileSystem(folder string) string {
	var s syscall.Statfs_t
	if syscall.Statfs(folder, &s) != nil {
		return ""
	}
	return fileSystems[uint32(s.Type)]
}
