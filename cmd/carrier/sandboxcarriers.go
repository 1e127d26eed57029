package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"carrier/internal/sandbox"
)

// carriers are the delivery companies of --carriers and --carrier. An address of --carrier comes before the file's;
// the settings of a company that is in no file come from the environment.
func (s *sandboxCommand) carriers(w *world) ([]sandbox.Carrier, error) {
	var list []sandbox.Carrier
	if s.Carriers != "" {
		f, err := os.Open(s.Carriers)
		if err != nil {
			return nil, fmt.Errorf("--carriers: %w", err)
		}
		defer f.Close()
		if list, err = sandbox.ReadCarriers(f); err != nil {
			return nil, fmt.Errorf("--carriers %s: %w", s.Carriers, err)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.Carrier)) {
		at := slices.IndexFunc(list, func(c sandbox.Carrier) bool { return c.DeliveryID == id })
		if at < 0 {
			at, list = len(list), append(list, carrierOfEnv(w, id))
		}
		list[at].URL = s.Carrier[id]
	}
	if err := sandbox.ValidateCarriers(list); err != nil {
		return nil, fmt.Errorf("%w; secrets come from --carriers FILE, or from %s and %s",
			err, carrierVariable("ID", "TOKEN"), carrierVariable("ID", "ENCODING_AES_KEY"))
	}
	return list, nil
}

// carrierOfEnv reads a company's settings: CARRIER_SANDBOX_SF_TOKEN and so on.
func carrierOfEnv(w *world, id string) sandbox.Carrier {
	get := func(name string) string { return w.getenv(carrierVariable(id, name)) }
	return sandbox.Carrier{
		DeliveryID: id, AppID: cmp.Or(get("APPID"), "wx0000000000000000"), Token: get("TOKEN"),
		EncodingAESKey: get("ENCODING_AES_KEY"), PreviousEncodingAESKey: get("PREVIOUS_ENCODING_AES_KEY"),
		Format: get("FORMAT"), Mode: get("MODE"),
	}
}

// carrierVariable is the name of an environment variable: letters and digits, in upper case.
func carrierVariable(id, name string) string {
	id = strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(id))
	return "CARRIER_SANDBOX_" + id + "_" + name
}
