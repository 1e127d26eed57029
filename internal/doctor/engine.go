package doctor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"carrier/internal/problem"
	"carrier/internal/store/pebble"
)

// engine looks at the store in a folder: whether it is whole as far as that shows from outside, and of which format.
func (d *doctor) engine(folder string) {
	found, err := pebble.Inspect(folder)
	switch {
	case err != nil:
		d.fail(folder, problem.Textf("the store in it can't be used: %v", "其中的存储不可用：%v", err),
			text("nothing was changed; do what it says, or restore a backup (carrier store check tells whether a backup is whole)",
				"未做任何更改；请按提示处理，或恢复备份（carrier store check 可检查备份是否完整）"))
	case found.Instance == "":
		return
	case found.Running:
		d.ok(folder, problem.Textf("the store %s is open in a running process", "存储 %s 正被运行中的进程使用", found.Instance))
	case found.Format < found.Current:
		d.warn(folder, problem.Textf("the store is of format %d; the next start brings it to %d, which is done once and can't be undone",
			"存储为格式 %d；下次启动会升级到 %d，仅执行一次且不可逆", found.Format, found.Current),
			text("make a backup before: carrier store backup --to FOLDER", "请先备份：carrier store backup --to 目录"))
	default:
		d.ok(folder, problem.Textf("the store %s is of format %d, the present one", "存储 %s 为当前格式 %d", found.Instance, found.Format))
	}
}

// How long one sync of a disk may take: every acknowledgement waits for one, though many share it.
const slowSync = 50 * time.Millisecond

// syncs looks at the disks of the store and of the embedded NATS server, as far as they can be written to.
func (d *doctor) syncs(context.Context) {
	var folders []string
	if folder, ok := d.o.Config.Store.Folder(); ok {
		folders = append(folders, folder)
	}
	if n := d.o.Config.NATS; n.IsEmbedded() {
		folders = append(folders, n.Embedded.StoreDir)
	}
	for _, folder := range folders {
		if there, _, err := existing(folder); err == nil && writable(there) == nil {
			d.sync(folder, there)
		}
	}
}

// sync measures how long the disk of a folder takes to make something durable, and looks whether it is a disk.
func (d *doctor) sync(folder, there string) {
	switch kind := fileSystem(there); kind {
	case "tmpfs", "ramfs":
		d.warn(folder, problem.Textf("is in memory (%s): a power failure or restart of the machine takes all of it", "位于内存文件系统（%s）：断电或重启后数据全部丢失", kind),
			text("put it on a disk", "请改用磁盘目录"))
	case "nfs", "smb", "fuse":
		d.warn(folder, problem.Textf("is on a %s file system, which may acknowledge what is not on a disk yet", "位于 %s 文件系统，其可能在落盘前就确认写入", kind),
			text("put it on a local disk, or see that the server syncs before it answers", "请使用本地磁盘，或确认其服务端在应答前落盘"))
	}
	took, err := syncTime(there)
	switch {
	case err != nil:
		d.fail(folder, problem.Textf("can't be synced: %v", "无法落盘（fsync）：%v", err), text("put the store on another disk", "请将存储放到其他磁盘"))
	case took > slowSync:
		d.warn(folder, problem.Textf("one sync takes %s, and every acknowledgement waits for one", "一次落盘耗时 %s，每次确认都要等待一次", took.Round(time.Millisecond)),
			text("use a faster disk, best an SSD with power-loss protection; events sent together share a sync", "请使用更快的磁盘，最好是带断电保护的 SSD；同时到达的事件共享一次落盘"))
	default:
		d.ok(folder, problem.Textf("one sync takes %s", "一次落盘耗时 %s", took.Round(10*time.Microsecond)))
	}
}

// syncTime is the median of a few syncs of a file, which is removed again.
func syncTime(folder string) (took time.Duration, err error) {
	f, err := os.CreateTemp(folder, ".carrier-doctor-*")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	var times [5]time.Duration
	block := make([]byte, 4096)
	for i := range times {
		begun := time.Now()
		if _, err = f.Write(block); err == nil {
			err = f.Sync()
		}
		if err != nil {
			return 0, err
		}
		times[i] = time.Since(begun)
	}
	return median(times[:]), nil
}

// private looks whether others may read the store.
func (d *doctor) private(folder string) {
	info, err := os.Stat(folder)
	if err != nil || !permissions {
		return
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		absolute, err := filepath.Abs(folder)
		if err != nil {
			absolute = folder
		}
		d.warn(folder, problem.Textf("every user of this machine can look into it (%v), and it holds phone numbers and Tokens", "本机所有用户都可访问（%v），其中含手机号与 Token", mode),
			problem.Textf("chmod 700 %s", "chmod 700 %s", absolute))
	}
}
