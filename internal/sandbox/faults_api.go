package sandbox

import "net/http"

const maxFaultsBody = 1 << 20

// serveFaults is /_sandbox/faults: GET shows, PUT and POST replace, PATCH changes what it names, DELETE heals all.
func (s *Sandbox) serveFaults(w http.ResponseWriter, r *http.Request) {
	set := func(w http.ResponseWriter, r *http.Request) { s.changeFaults(w, r, Faults{}) }
	methods{
		http.MethodGet:    s.showFaults,
		http.MethodPut:    set,
		http.MethodPost:   set,
		http.MethodPatch:  func(w http.ResponseWriter, r *http.Request) { s.changeFaults(w, r, s.Faults()) },
		http.MethodDelete: s.clearFaults,
	}.serve(w, r)
}

func (s *Sandbox) showFaults(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.Faults())
}

func (s *Sandbox) changeFaults(w http.ResponseWriter, r *http.Request, f Faults) {
	err := decodeStrict(r, maxFaultsBody, &f)
	if err == nil {
		err = s.SetFaults(f)
	}
	if err != nil {
		writeProblem(w, http.StatusBadRequest, err)
		return
	}
	s.showFaults(w, r)
}

func (s *Sandbox) clearFaults(w http.ResponseWriter, r *http.Request) {
	_ = s.SetFaults(Faults{}) // The zero value is valid.
	s.showFaults(w, r)
}
