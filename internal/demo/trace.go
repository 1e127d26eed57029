package demo

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	"golang.org/x/sync/errgroup"
)

// comparison is what WeChat shows of a waybill beside what was delivered, by the service's account.
type comparison struct {
	Same   bool           `json:"same"`
	Totals map[string]int `json:"totals"` // Lines by kind.
	Detail string         `json:"detail"` // Of a problem instead.
}

// compare has the service ask WeChat about a waybill, with the shop's credentials.
func (c *client) compare(ctx context.Context, waybill string) (a comparison, err error) {
	path := c.admin + "/admin/v1/waybills/" + DeliveryID + "/" + url.PathEscape(waybill) + "/upstream"
	if err = c.call(ctx, http.MethodGet, path, "application/json", c.token, []byte(nil), &a); err == nil && a.Totals == nil {
		err = fmt.Errorf("what WeChat shows of waybill %s can't be read: %s", waybill, a.Detail)
	}
	return a, err
}

// tracesAtOnce is how many traces are asked for at a time.
const tracesAtOnce = 8

// checkTraces compares what WeChat shows of waybills with what was delivered.
func (d *demo) checkTraces(ctx context.Context, s *summary, waybills []string) {
	var g errgroup.Group
	g.SetLimit(tracesAtOnce)
	var mu sync.Mutex // Owns s meanwhile.
	for _, waybill := range waybills {
		g.Go(func() error {
			seen, err := d.client.compare(ctx, waybill)
			mu.Lock()
			defer mu.Unlock()
			s.addTrace(waybill, seen, err)
			return nil
		})
	}
	_ = g.Wait() // None fails.
}

// addTrace notes what came of one comparison.
func (s *summary) addTrace(waybill string, seen comparison, err error) {
	switch {
	case err != nil:
		s.errors = append(s.errors, err)
	case seen.Same:
		s.verified++
	default:
		if n := seen.Totals["missing"] + seen.Totals["changed"]; n > 0 {
			s.lost = append(s.lost, fmt.Sprintf("waybill %s: %d pushes are delivered, and WeChat does not show them so", waybill, n))
		}
		if n := seen.Totals["moved"] + seen.Totals["extra"]; n > 0 {
			s.outOfOrder = append(s.outOfOrder, fmt.Sprintf("waybill %s: WeChat shows %d nodes too many or at another place", waybill, n))
		}
	}
}
