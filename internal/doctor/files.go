package doctor

import (
	"context"

	"carrier/internal/config"
	"carrier/internal/problem"
)

// files looks who else on this machine can read the secrets, or write what the service reads.
func (d *doctor) files(context.Context) {
	private := 0
	for _, f := range d.o.Config.Files() {
		mode, known := f.Mode()
		switch {
		case !known:
		case mode&0o002 != 0:
			d.fail(f.Path, named(f, "every user of this machine can change it", "本机所有用户都可修改"), problem.Textf("chmod o-w %s", "chmod o-w %s", f.Path))
		case f.Secret && mode&0o004 != 0:
			d.warn(f.Path, named(f, "every user of this machine can read it, and it holds a secret", "本机所有用户都可读取，而其中含有密钥"),
				problem.Textf("chmod 640 %s", "chmod 640 %s", f.Path))
		case f.Secret:
			private++
		}
	}
	if private > 0 {
		d.ok("", problem.Textf("secrets that only the service's user and group can read: %d {1:file|files}", "仅服务的用户与组可读的密钥文件：%d 个", private))
	}
	if d.o.Config.Store.KeyFile == "" {
		d.ok("", text("waybill Tokens are kept unencrypted; store.key_file would encrypt them", "运单 Token 未加密保存；设置 store.key_file 可加密"))
		return
	}
	if _, err := d.o.Config.Store.TokenKeys(); err != nil {
		d.fail("store.key_file", plain(err), text("the service does not start without it: correct the file or the key", "缺少它服务无法启动：请更正该文件或配置项"))
		return
	}
	d.ok("store.key_file", text("waybill Tokens are kept encrypted", "运单 Token 加密保存"))
}

// named says what a file is for, and what is the matter with it.
func named(f config.File, en, zh string) problem.Text {
	if f.Key == "" {
		return text("the configuration: "+en, "配置文件："+zh)
	}
	return text(f.Key+": "+en, f.Key+"："+zh)
}
