package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"time"
)

// These are the parts of CycloneDX 1.6 that a scanner for known weaknesses goes by: https://cyclonedx.org/docs/1.6/json/
type (
	bom struct {
		Format     string      `json:"bomFormat"`
		Spec       string      `json:"specVersion"`
		Version    int         `json:"version"`
		Metadata   metadata    `json:"metadata"`
		Components []component `json:"components"`
	}
	metadata struct {
		Timestamp time.Time `json:"timestamp"`
		Component component `json:"component"`
	}
	component struct {
		Type       string       `json:"type"`
		Name       string       `json:"name"`
		Version    string       `json:"version"`
		PURL       string       `json:"purl,omitempty"`
		Hashes     []hash       `json:"hashes,omitempty"`
		Licences   []expression `json:"licenses,omitempty"`
		Properties []property   `json:"properties,omitempty"`
	}
	hash struct {
		Algorithm string `json:"alg"`
		Content   string `json:"content"`
	}
	expression struct {
		SPDX string `json:"expression"`
	}
	property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
)

// sbom lists what is in a binary, as the toolchain wrote it there.
func (p *product) sbom(binary []byte, info *buildinfo.BuildInfo, licences []licence) ([]byte, error) {
	self := component{
		Type: "application", Name: "carrier", Version: p.version,
		Hashes:     []hash{{"SHA-256", fmt.Sprintf("%x", sha256.Sum256(binary))}},
		Properties: []property{{"go:version", info.GoVersion}},
	}
	for _, s := range info.Settings {
		self.Properties = append(self.Properties, property{"go:build:" + s.Key, s.Value})
	}
	b := bom{Format: "CycloneDX", Spec: "1.6", Version: 1, Metadata: metadata{p.at, self}, Components: []component{}}
	for _, l := range licences {
		b.Components = append(b.Components, component{
			Type: "library", Name: l.module.Path, Version: l.module.Version,
			PURL:     "pkg:golang/" + l.module.Path + "@" + l.module.Version,
			Licences: []expression{{l.spdx}},
		})
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(b)
	return out.Bytes(), err
}
