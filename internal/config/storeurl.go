package config

import (
	"errors"
	"fmt"
	"strings"
)

// At is a store with the same settings at another place: file:FOLDER or postgres://..., in which ${NAME} is replaced from
// the environment, as in a file. Its errors hold nothing of the address.
func (s Store) At(place string, environ []string) (Store, error) {
	expanded, _, err := expand(place, func(name string) (value string, ok bool) {
		for _, variable := range environ {
			if v, found := strings.CutPrefix(variable, name+"="); found {
				value, ok = v, true
			}
		}
		return value, ok
	})
	if err != nil {
		return s, fmt.Errorf("the address %w", err)
	}
	s.URL = DSN(expanded)
	_, folder := s.Folder()
	if _, postgres := s.Postgres(); !folder && !postgres {
		return s, errors.New("must be file:FOLDER or postgres://user:password@host:5432/database; ${NAME} is replaced from the environment")
	}
	return s, nil
}
