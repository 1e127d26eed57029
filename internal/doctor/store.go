package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carrier/internal/config"
	"carrier/internal/problem"
)

// store looks at the folder of the store, which a running service may have open.
func (d *doctor) store(context.Context) {
	if folder, ok := d.o.Config.Store.Folder(); ok {
		if d.folder("store.url", folder, d.o.Config.Store.MinFree) {
			d.private(folder)
			d.engine(folder)
		}
	}
	if n := d.o.Config.NATS; n.IsEmbedded() {
		d.folder("nats.embedded.store_dir", n.Embedded.StoreDir, d.o.Config.Store.MinFree)
	}
}

// folder looks whether a folder can be written to, or made, and whether its disk has room. It tells whether there is one.
func (d *doctor) folder(key, folder string, least config.Size) (there bool) {
	above, isNew, err := existing(folder)
	if err == nil {
		err = writable(above)
	}
	if err != nil {
		d.fail(folder, plain(err), problem.Textf("let this user write there (chown), run this as the service's user, or change %s",
			"请授予当前用户写权限（chown），或以服务的用户运行本命令，或修改 %s", key))
		return false
	}
	usage, err := vfs.Default.GetDiskUsage(above)
	if err != nil {
		d.warn(folder, problem.Textf("how much room its disk has is not known: %v", "无法得知磁盘剩余空间：%v", err),
			text("look with: df -h", "请用 df -h 查看"))
		return !isNew
	}
	free := config.Size(usage.AvailBytes)
	said := problem.Textf("can be written to, %s free", "可写，剩余 %s", rounded(free))
	if isNew {
		said = problem.Textf("will be made at the first start, %s free", "首次启动时创建，剩余 %s", rounded(free))
	}
	switch {
	case free < least:
		d.fail(folder, problem.Textf("only %s of its disk are free, so events are answered with 503 (store.min_free is %s)",
			"磁盘仅剩 %s，新事件将返回 503（store.min_free 为 %s）", rounded(free), least),
			text("free some room on the disk, or move the folder to a larger one", "请清理磁盘，或将目录移到更大的磁盘"))
	case free < 4*least:
		d.warn(folder, problem.Textf("only %s of its disk are free; below %s events are answered with 503",
			"磁盘仅剩 %s，低于 %s 时新事件将返回 503", rounded(free), least),
			text("free some room on the disk, or move the folder to a larger one", "请清理磁盘，或将目录移到更大的磁盘"))
	default:
		d.ok(folder, said)
	}
	return !isNew
}

// existing is the folder itself or, if it is not there yet, the one above it that is.
func existing(folder string) (there string, isNew bool, err error) {
	there, err = filepath.Abs(folder)
	if err != nil {
		return "", false, err
	}
	for {
		info, err := os.Stat(there)
		switch {
		case err == nil && !info.IsDir():
			return "", false, &fs.PathError{Op: "open", Path: there, Err: errors.New("is a file, not a folder")}
		case err == nil:
			return there, isNew, nil
		case !errors.Is(err, fs.ErrNotExist) || there == filepath.Dir(there):
			return "", false, err
		}
		there, isNew = filepath.Dir(there), true
	}
}

// writable makes a file and removes it: permissions alone don't tell of a disk that is mounted to be read only.
func writable(folder string) error {
	f, err := os.CreateTemp(folder, ".carrier-doctor-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString("carrier doctor makes this file to see whether it can. It may be removed.\n")
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// rounded is a size as people say it.
func rounded(s config.Size) string {
	for _, unit := range []config.Size{config.GiB, config.MiB, config.KiB} {
		if s >= 10*unit {
			return (s / unit * unit).String()
		}
	}
	return s.String()
}
