package adminclient

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"
)

// MaxPage is how many rows the service gives at once.
const MaxPage = 1000

// Filter selects the rows of a list: filters of the API by name. What is not given does not narrow the list.
type Filter map[string]string

// Page is a part of a list.
type Page[T any] struct {
	Items []T
	Raw   []json.RawMessage // The items as the service wrote them.
	Next  string            // The cursor of what follows; empty at the end.
	// Reading is how far the service has read what the list is made of; what is not read is missing. nil: all is there.
	Reading    *Reading
	RawReading json.RawMessage // The same as the service wrote it; nil for lists that are always whole.
}

// Reading says how far something is.
type Reading struct {
	Events uint64 `json:"events"` // Read so far,
	Total  uint64 `json:"total"`  // of about so many.
}

// List is a list that has not been asked for yet.
type List[T any] struct {
	client *Client
	path   string
	filter Filter
}

// Pages asks for the list page by page, from cursor (empty: from its beginning) until limit rows have come or it
// ends. With limit 0 it goes on to the end. The pages hold at most limit rows together.
func (l List[T]) Pages(ctx context.Context, limit int, cursor string) iter.Seq2[Page[T], error] {
	return func(yield func(Page[T], error) bool) {
		for given := 0; limit == 0 || given < limit; {
			size := MaxPage
			if limit > 0 {
				size = min(size, limit-given)
			}
			page, err := l.page(ctx, size, cursor)
			if err == nil && page.Next != "" && page.Next == cursor {
				err = errors.New("the service gives the same page again and again; report this")
			}
			if !yield(page, err) || err != nil || page.Next == "" {
				return
			}
			given, cursor = given+len(page.Items), page.Next
		}
	}
}

func (l List[T]) page(ctx context.Context, size int, cursor string) (Page[T], error) {
	query := url.Values{"limit": {strconv.Itoa(size)}}
	for name, value := range maps.All(l.filter) {
		query.Set(name, value)
	}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	type wire struct {
		Items   []json.RawMessage `json:"items"`
		Next    string            `json:"next_cursor"`
		Reading json.RawMessage   `json:"reading"`
	}
	a, err := ask[wire](ctx, l.client, request{method: http.MethodGet, path: l.path, query: query})
	if err != nil {
		return Page[T]{}, err
	}
	page := Page[T]{Items: make([]T, len(a.Value.Items)), Raw: a.Value.Items, Next: a.Value.Next, RawReading: a.Value.Reading}
	if page.RawReading != nil {
		err = json.Unmarshal(page.RawReading, &page.Reading)
	}
	for i := 0; i < len(page.Raw) && err == nil; i++ {
		err = json.Unmarshal(page.Raw[i], &page.Items[i])
	}
	if err != nil {
		return Page[T]{}, &Unreadable{URL: l.client.base + l.path, Err: err}
	}
	return page, nil
}
