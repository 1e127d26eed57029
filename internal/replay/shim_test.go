package replay

import (
	"context"
	"slices"

	"carrier/internal/store"
)

func (e *engine) Pushes(ctx context.Context, q store.Query) (page store.Page[store.Push], err error) {
	if !q.Ascending {
		return e.Store.Pushes(ctx, q)
	}
	limit, after := q.Limit, q.After
	q.Limit = store.MaxLimit
	var all []store.Push
	for {
		p, err := e.Store.Pushes(ctx, q)
		if err != nil {
			return page, err
		}
		all = append(all, p.Items...)
		if q.Before = p.Next; p.Next == 0 {
			break
		}
	}
	slices.Reverse(all)
	for _, p := range all {
		if p.Seq <= after {
			continue
		}
		if len(page.Items) == limit {
			page.Next = page.Items[limit-1].Seq
			break
		}
		page.Items = append(page.Items, p)
	}
	return page, nil
}
