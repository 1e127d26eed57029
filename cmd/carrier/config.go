package main

import (
	"errors"
	"fmt"

	"carrier/internal/config"
	"carrier/internal/problem"
)

type configCommand struct {
	Check  configCheck  `cmd:"" help:"Check a file; every finding names file:line and key. 检查配置文件"`
	Schema configSchema `cmd:"" help:"Print the JSON Schema, for editors. 输出 JSON Schema"`
}

type configCheck struct {
	configFlag
}

func (c *configCheck) Run(w *world) error {
	loaded, err := c.load(w)
	if err != nil {
		return err
	}
	var failed error
	for _, warning := range loaded.Warnings() {
		_, err := fmt.Fprintln(w.stderr, "carrier: warning:", warning)
		failed = errors.Join(failed, err)
	}
	_, err = fmt.Fprintln(w.stdout, problem.Sprintf("the configuration is well: %d {1:account|accounts}, %d {2:source|sources}, %d {3:admin token|admin tokens}",
		len(loaded.Accounts), len(loaded.Sources), len(loaded.Admin.Tokens)))
	return errors.Join(failed, err)
}

type configSchema struct{}

func (configSchema) Run(w *world) error {
	_, err := w.stdout.Write(config.Schema())
	return err
}
