package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"time"

	"carrier/internal/problem"
)

//go:embed static
var staticFiles embed.FS

// staticPath is where the assets are. Their address has a hash of all of them, so that browsers may keep them for ever,
// and scripts find each other beside them.
var staticPath = "/console/static/" + staticHash() + "/"

func staticHash() string {
	sum := sha256.New()
	_ = fs.WalkDir(staticFiles, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := staticFiles.ReadFile(name)
		sum.Write([]byte(name + "\x00"))
		sum.Write(body)
		return err
	}) // What is embedded can be read.
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// assetPath is the address of an asset.
func assetPath(name string) string { return staticPath + name }

// Static serves the assets. An address of another build is answered with what there is now, and not to be kept: a page
// that stayed open over an upgrade goes on working.
func (c *Console) Static(v *Visit) error {
	name := path.Base(v.Param("file"))
	body, err := staticFiles.ReadFile("static/" + name)
	if err != nil {
		return problem.New(problem.NotFound)
	}
	h := v.W.Header()
	h.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	h.Set("Cache-Control", "no-cache")
	if v.R.URL.Path == staticPath+name {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	http.ServeContent(v.W, v.R, "", time.Time{}, bytes.NewReader(body))
	return nil
}
