package sandbox

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

const (
	defaultPage = 1_000
	maxPage     = 10_000
)

// serveNodes is /_sandbox/nodes: with waybill_id one waybill, with since or limit all arrivals page by page, else
// the counts. DELETE is Clear.
func (s *Sandbox) serveNodes(w http.ResponseWriter, r *http.Request) {
	methods{
		http.MethodGet: s.showNodes,
		http.MethodDelete: func(w http.ResponseWriter, r *http.Request) {
			s.Clear()
			writeJSON(w, http.StatusOK, s.Stats())
		},
	}.serve(w, r)
}

func (s *Sandbox) showNodes(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	since, limit, err := paging(q)
	switch {
	case err != nil:
		writeProblem(w, http.StatusBadRequest, err)
	case q.Has("waybill_id"):
		writeJSON(w, http.StatusOK, s.ledger.view(q.Get("waybill_id"), q.Get("delivery_id")))
	case q.Has("since") || q.Has("limit"):
		writeJSON(w, http.StatusOK, s.Arrivals(since, limit))
	case len(q) > 0:
		writeProblem(w, http.StatusBadRequest, fmt.Errorf("there are waybill_id (with delivery_id), since and limit"))
	default:
		writeJSON(w, http.StatusOK, s.Stats())
	}
}

func paging(q url.Values) (since uint64, limit int, err error) {
	limit = defaultPage
	if v := q.Get("since"); v != "" {
		if since, err = strconv.ParseUint(v, 10, 64); err != nil {
			return 0, 0, fmt.Errorf("since is %q: give the number of the last arrival seen, 0 to begin", v)
		}
	}
	if v := q.Get("limit"); v != "" {
		if limit, err = strconv.Atoi(v); err != nil || limit < 1 || limit > maxPage {
			return 0, 0, fmt.Errorf("limit is %q: give 1 to %d", v, maxPage)
		}
	}
	return since, limit, nil
}
